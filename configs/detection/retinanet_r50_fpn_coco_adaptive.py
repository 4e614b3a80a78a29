# RetinaNet on COCO over ResNet-50's supernet: one detector, many budgets.
# bash tools/dist_train.sh configs/detection/retinanet_r50_fpn_coco_adaptive.py 8
_base_ = ['_base_/retinanet_coco_adaptive.py', '_base_/backbones/r50.py']

model = dict(backbone=_base_.backbone, neck=dict(in_channels=_base_.channels))
