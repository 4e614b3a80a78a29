# A supernet as the backbone of a detector on COCO: mmdet's 1x schedule, with
# the largest, a sampled and the smallest subnet in each iteration
_base_ = [
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'adaptive_runtime.py',
]

# one training image in so many is held out, to choose the kept subnets on
held_out_every = 50
held_out_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        # instances: CocoMetric takes the annotations from the images
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                   'scale_factor', 'instances')),
]
train_set = _base_.train_dataloader.dataset
training_part = dict(
    type='pss.HeldOutSplit',
    every=held_out_every,
    held_out=False,
    dataset=train_set)
train_dataloader = dict(dataset=dict(_delete_=True, **training_part))
held_out_dataloader = dict(
    batch_size=1,
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
            pipeline=held_out_pipeline)))
val_dataloader = dict(_delete_=True, **held_out_dataloader)
held_out_evaluator = dict(type='CocoMetric', metric='bbox')
val_evaluator = dict(_delete_=True, **held_out_evaluator)

calibration_dataloader = dict(
    batch_size=16,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
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

# three passes sum their gradients: as in mmdet, with a limit on their norm
optim_wrapper = dict(
    type='pss.SandwichOptimWrapper', clip_grad=dict(max_norm=35))
# backbones' costs at 800 x 1333
default_hooks = dict(pss_sampler=dict(budgets=dict(flops=dict(pools=8))))
