# Faster R-CNN on COCO over MobileNetV2's supernet: one detector, many budgets.
# bash tools/dist_train.sh configs/detection/faster-rcnn_mbv2_fpn_coco_adaptive.py 8
_base_ = ['_base_/faster-rcnn_coco_adaptive.py', '_base_/backbones/mbv2.py']

model = dict(backbone=_base_.backbone, neck=dict(in_channels=_base_.channels))
