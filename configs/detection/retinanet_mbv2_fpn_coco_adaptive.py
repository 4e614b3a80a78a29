# MobileNetV2 as a supernet: widths as on ImageNet, short sides of 480 to 800
_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py', '_base_/coco_adaptive.py'
]

model = dict(
    type='pss.SupernetDetector',
    detector='mmdet.RetinaNet',
    input_size=(800, 1333),
    backbone=dict(
        _delete_=True,
        type='pss.SlimmableMobileNetV2',
        out_indices=(1, 2, 4, 6),
        search_space=dict(resolutions=dict(start=480, stop=800, step=40)),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='bank://work_dirs/pss_mbv2_imagenet/bank',
            prefix='backbone.')),
    neck=dict(in_channels=[24, 32, 96, 320]))
