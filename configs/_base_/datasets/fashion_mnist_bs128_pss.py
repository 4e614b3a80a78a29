# Fashion-MNIST: 60,000 training and 10,000 test images, 28 x 28, 10 classes.
# `python tools/dataset_converters/fashion_mnist.py` puts it into data_root.
dataset_type = 'FashionMNIST'
data_root = 'data/fashion_mnist'
# one training image in so many is held out for choosing the kept subnets
held_out_every = 12

# the images are grey; three means make three equal channels, so that the network
# is MobileNetV2 unchanged
data_preprocessor = dict(
    num_classes=10, mean=[72.94] * 3, std=[90.02] * 3, to_rgb=False)

train_pipeline = [
    dict(type='RandomCrop', crop_size=28, padding=2),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='PackInputs')]

train_set = dict(
    type='pss.HeldOutSplit',
    every=held_out_every,
    held_out=False,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='train',
        download=False,
        pipeline=train_pipeline))
held_out_set = dict(
    type='pss.HeldOutSplit',
    every=held_out_every,
    held_out=True,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='train',
        download=False,
        pipeline=test_pipeline))
test_set = dict(
    type=dataset_type,
    data_root=data_root,
    split='test',
    test_mode=True,
    download=False,
    pipeline=test_pipeline)

train_dataloader = dict(
    batch_size=128,
    num_workers=1,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=train_set,
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
)
calibration_dataloader = dict(
    batch_size=512,
    num_workers=1,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=train_set,
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=250,
    num_workers=1,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=held_out_set,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
)
test_dataloader = dict(
    batch_size=250,
    num_workers=1,
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
    calibration_batches=4,
    ranked_pools=3,
    ranked_members=3)
test_cfg = dict(
    type='pss.SubnetTestLoop',
    calibration_dataloader=calibration_dataloader,
    calibration_batches=4,
    selection_dataloader=val_dataloader,
    # all subnets of each level; None tries the five best of its pool by score,
    # as the published program does
    search=dict(candidates=16, finalists=2))
