# SSDLite on COCO over the smallest subnet of MobileNetV2's bank.
# bash tools/dist_train.sh configs/detection/ssdlite_mbv2_coco_fixed.py 8
_base_ = ['_base_/ssdlite_mbv2.py']

channels = (72, 1280, 512, 256, 256, 128)  # the subnet's two, then SSDLite's
model = dict(
    # mmdet's detector as it is; in mmdet 3.3.0 SSD cannot predict without it
    type='pss.ResizedDetector',
    detector='mmdet.SingleStageDetector',
    scale=1.,
    backbone=dict(
        subnet=dict(resolution=128, widths=(24, 16, 24, 24, 48, 72, 120, 240))),
    neck=dict(in_channels=channels[:2], out_channels=channels),
    bbox_head=dict(in_channels=channels))
