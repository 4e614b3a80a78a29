# mmdet's SSDLite on COCO, for one subnet as the backbone: the detector as it is,
# in a class without which SSD cannot predict in mmdet 3.3.0
_base_ = 'ssdlite_mbv2.py'

model = dict(
    type='pss.ResizedDetector', detector='mmdet.SingleStageDetector', scale=1.)
