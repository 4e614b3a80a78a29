# The smallest subnet of an ImageNet bank as the backbone; any that the bank keeps
# can stand here, with its own neck.in_channels
_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py', '_base_/coco_fixed.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='pss.SlimmableMobileNetV2',
        out_indices=(1, 2, 4, 6),
        norm_eval=True,
        subnet=dict(resolution=128, widths=(24, 16, 24, 24, 48, 72, 120, 240)),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='bank://work_dirs/pss_mbv2_imagenet/bank',
            prefix='backbone.')),
    neck=dict(in_channels=[24, 24, 72, 240]))
