# RetinaNet on COCO over the smallest subnet of MobileNetV2's bank.
# bash tools/dist_train.sh configs/detection/retinanet_mbv2_fpn_coco_fixed.py 8
_base_ = ['_base_/retinanet_coco_fixed.py', '_base_/backbones/mbv2.py']

model = dict(
    backbone=dict(subnet=_base_.subnet, **_base_.backbone),
    neck=dict(in_channels=_base_.subnet_channels))
