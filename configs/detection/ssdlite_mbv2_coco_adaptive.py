# SSDLite on COCO over MobileNetV2's supernet: one detector, many budgets.
# bash tools/dist_train.sh configs/detection/ssdlite_mbv2_coco_adaptive.py 8
_base_ = '_base_/ssdlite_coco_adaptive.py'

model = dict(
    backbone=dict(
        search_space=dict(resolutions=dict(start=192, stop=320, step=16))))
# pools by the backbone's FLOPs at 320 x 320
default_hooks = dict(pss_sampler=dict(budgets=dict(flops=dict(pools=8))))
