# RetinaNet on COCO over the smallest subnet of ResNet-50's bank.
# bash tools/dist_train.sh configs/detection/retinanet_r50_fpn_coco_fixed.py 8
_base_ = ['_base_/retinanet_coco_fixed.py', '_base_/backbones/r50.py']

model = dict(
    backbone=dict(frozen_stages=1, subnet=_base_.subnet, **_base_.backbone),
    neck=dict(in_channels=_base_.subnet_channels))
