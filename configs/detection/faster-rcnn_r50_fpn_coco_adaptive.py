# ResNet-50 as a supernet: widths as on ImageNet, short sides of 480 to 800
_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py', '_base_/coco_adaptive.py'
]

model = dict(
    type='pss.SupernetDetector',
    detector='mmdet.FasterRCNN',
    input_size=(800, 1333),
    backbone=dict(
        _delete_=True,
        type='pss.SlimmableResNet',
        depth=50,
        out_indices=(0, 1, 2, 3),
        search_space=dict(resolutions=dict(start=480, stop=800, step=40)),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='bank://work_dirs/pss_r50_imagenet/bank',
            prefix='backbone.')),
    neck=dict(in_channels=[256, 512, 1024, 2048]))
