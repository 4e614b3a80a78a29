# SSDLite on COCO over the smallest subnet of MobileNetV2's bank.
# bash tools/dist_train.sh configs/detection/ssdlite_mbv2_coco_fixed.py 8
_base_ = '_base_/ssdlite_coco_fixed.py'

channels = (72, 1280, 512, 256, 256, 128)  # the subnet's two, then SSDLite's
widths = (24, 16, 24, 24, 48, 72, 120, 240)
model = dict(
    backbone=dict(subnet=dict(resolution=128, widths=widths)),
    neck=dict(in_channels=channels[:2], out_channels=channels),
    bbox_head=dict(in_channels=channels))
