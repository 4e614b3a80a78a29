# MobileNetV2 as a supernet in mmdet's SSDLite: sides of 192 to 320
_base_ = '_base_/ssdlite_mbv2.py'

model = dict(
    type='pss.SupernetDetector',
    detector='mmdet.SingleStageDetector',
    input_size=(320, 320),
    backbone=dict(
        search_space=dict(resolutions=dict(start=192, stop=320, step=16))))

# one training image in so many is held out, to choose the kept subnets on
held_out_every = 50
train_set = _base_.train_dataloader.dataset.dataset
training_part = dict(
    type='pss.HeldOutSplit',
    every=held_out_every,
    held_out=False,
    dataset=train_set)
train_dataloader = dict(
    dataset=dict(dataset=dict(_delete_=True, **training_part)))
held_out_dataloader = dict(
    batch_size=8,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='pss.HeldOutSplit',
        every=held_out_every,
        held_out=True,
        dataset=dict(
            type='CocoDataset',
            data_root=train_set.data_root,
            ann_file=train_set.ann_file,
            data_prefix=train_set.data_prefix,
            filter_cfg=train_set.filter_cfg,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='Resize', scale=(320, 320), keep_ratio=False),
                dict(type='LoadAnnotations', with_bbox=True),
                dict(
                    type='PackDetInputs',
                    meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                               'scale_factor', 'instances')),
            ])))
val_dataloader = dict(_delete_=True, **held_out_dataloader)
# takes the annotations from the images
held_out_evaluator = dict(type='CocoMetric', metric='bbox')
val_evaluator = dict(_delete_=True, **held_out_evaluator)

calibration_dataloader = dict(
    batch_size=64,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=training_part)
train_cfg = dict(type='pss.SupernetTrainLoop')
val_cfg = dict(
    type='pss.SubnetValLoop',
    calibration_dataloader=calibration_dataloader,
    calibration_batches=20)
test_cfg = dict(
    type='pss.SubnetTestLoop',
    calibration_dataloader=calibration_dataloader,
    calibration_batches=20,
    selection_dataloader=held_out_dataloader,
    selection_evaluator=held_out_evaluator,
    metric='bbox_mAP',
    candidates=3)
optim_wrapper = dict(type='pss.SandwichOptimWrapper')
default_hooks = dict(
    # pools by the backbone's FLOPs at 320 x 320
    pss_sampler=dict(
        type='pss.PSSSamplerHook', budgets=dict(flops=dict(pools=8))),
    bank=dict(type='pss.BankHook'))
model_wrapper_cfg = dict(type='pss.SupernetDistributedDataParallel')
