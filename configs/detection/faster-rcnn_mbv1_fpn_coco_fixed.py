# The smallest subnet of an ImageNet bank as the backbone; any that the bank keeps
# can stand here, with its own neck.in_channels
_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py', '_base_/coco_fixed.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='pss.SlimmableMobileNetV1',
        out_indices=(1, 2, 3, 4),
        norm_eval=True,
        subnet=dict(
            resolution=128,
            widths=(24, 48, 96, 96, 192, 192, 384, 384, 384, 384, 384, 384, 768,
                    768)),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='bank://work_dirs/pss_mbv1_imagenet/bank',
            prefix='backbone.')),
    neck=dict(in_channels=[96, 192, 384, 768]))
