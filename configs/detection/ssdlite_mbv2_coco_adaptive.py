# SSDLite on COCO over MobileNetV2's supernet: one detector, many budgets.
# bash tools/dist_train.sh configs/detection/ssdlite_mbv2_coco_adaptive.py 8
_base_ = '_base_/ssdlite_coco_adaptive.py'

model = dict(
    type='pss.SupernetDetector',
    detector='mmdet.SingleStageDetector',
    input_size=(320, 320),
    backbone=dict(  # sides of 192 to 320
        search_space=dict(resolutions=dict(start=192, stop=320, step=16))))
# by the backbone's FLOPs at 320 x 320
default_hooks = dict(pss_sampler=dict(budgets=dict(flops=dict(pools=8))))
