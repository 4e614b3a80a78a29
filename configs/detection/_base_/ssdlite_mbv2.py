# mmdet's SSDLite over MobileNetV2, at 320 x 320, from an ImageNet bank
_base_ = 'mmdet::ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py'

custom_imports = dict(imports=['pss'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True,
        type='pss.SlimmableMobileNetV2',
        out_indices=(4, 7),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='bank://work_dirs/pss_mbv2_imagenet/bank',
            prefix='backbone.')))
default_hooks = dict(
    checkpoint=dict(type='pss.AtomicCheckpointHook', max_keep_ckpts=3),
    resume=dict(type='pss.ResumeHook'),
    termination=dict(type='pss.TerminationHook'))
randomness = dict(seed=0)
