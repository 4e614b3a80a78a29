# mmdet's SSDLite over MobileNetV2 at 320 x 320, from an ImageNet bank
_base_ = [
    'mmdet::ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py', 'pss_hooks.py'
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='pss.SlimmableMobileNetV2',
        out_indices=(4, 7),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='bank://work_dirs/pss_mbv2_imagenet/bank',
            prefix='backbone.')))
default_hooks = _base_.pss_hooks
