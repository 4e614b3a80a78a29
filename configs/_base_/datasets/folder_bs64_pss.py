# A folder with one folder of images for each class. Fields that are None follow
# from the data (pss/config/data_filling.py).
data_root = None
data = dict(held_out=0.1, test=0.1, seed=0, skip_broken=False, check='headers')

data_preprocessor = dict(
    num_classes=None,
    # RGB format normalization parameters
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    # convert image from BGR to RGB
    to_rgb=True,
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResizedCrop',
        scale=None,
        crop_ratio_range=(0.35, 1.0),
        backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=None, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=None),
    dict(type='PackInputs'),
]

train_set = dict(
    type='pss.FolderDataset',
    data_root=None,
    part='train',
    pipeline=train_pipeline)
held_out_set = dict(
    type='pss.FolderDataset',
    data_root=None,
    part='held_out',
    pipeline=test_pipeline)
test_set = dict(
    type='pss.FolderDataset',
    data_root=None,
    part='test',
    pipeline=test_pipeline)

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=train_set,
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
)
# augmented training images for batch-norm statistics: 9 batches of 256
calibration_dataloader = dict(
    batch_size=256,
    num_workers=4,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=train_set,
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=held_out_set,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=test_set,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
)

val_evaluator = dict(type='pss.SubnetAccuracy', topk=(1, ))
test_evaluator = val_evaluator

val_cfg = dict(
    type='pss.SubnetValLoop',
    calibration_dataloader=calibration_dataloader,
    calibration_batches=9,
    ranked_pools=3,
    ranked_members=3)
test_cfg = dict(
    type='pss.SubnetTestLoop',
    calibration_dataloader=calibration_dataloader,
    calibration_batches=9,
    selection_dataloader=val_dataloader,
    # all subnets of each level; None tries the five best of its pool by score,
    # as the published program does
    search=dict(candidates=16, finalists=2))
