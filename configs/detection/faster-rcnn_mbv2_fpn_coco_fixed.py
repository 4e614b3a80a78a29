# Faster R-CNN on COCO over the smallest subnet of MobileNetV2's bank.
# bash tools/dist_train.sh configs/detection/faster-rcnn_mbv2_fpn_coco_fixed.py 8
_base_ = ['_base_/faster-rcnn_coco_fixed.py', '_base_/backbones/mbv2.py']

model = dict(
    backbone=dict(subnet=_base_.subnet, **_base_.backbone),
    neck=dict(in_channels=_base_.subnet_channels))
