# A small RetinaNet for garments of 20 to 45 pixels, over MobileNetV2 as
# configs/pss_mbv2_fashion_mnist.py has it: two levels, 8 and 16 pixels apart
_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'

model = dict(
    # grey images; the mean and deviation that the bank was trained with
    data_preprocessor=dict(
        mean=[72.94] * 3,
        std=[90.02] * 3,
        bgr_to_rgb=False,
        pad_size_divisor=16),
    backbone=dict(
        _delete_=True,
        type='pss.SlimmableMobileNetV2',
        strides=(2, 1, 1, 2, 2, 1, 2, 1),
        out_indices=(4, 6),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='bank://work_dirs/demo/bank',
            prefix='backbone.')),
    neck=dict(
        in_channels=[96, 320], out_channels=64, start_level=0, num_outs=2),
    bbox_head=dict(
        num_classes=10,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        anchor_generator=dict(octave_base_scale=3, strides=[8, 16])))
