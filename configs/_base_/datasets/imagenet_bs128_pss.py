# ImageNet, augmented as in the paper; 8 processes of 128 images make 1,024
dataset_type = 'ImageNet'
data_root = 'data/imagenet'
# one training image in so many is held out for choosing the kept subnets
held_out_every = 50

data_preprocessor = dict(
    type='pss.AugmentingPreprocessor',
    num_classes=1000,
    # RGB format normalization parameters
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    # convert image from BGR to RGB
    to_rgb=True,
)

# as mmpretrain's RandomResizedCrop (backend='pillow'), RandomFlip, ColorJitter
# and Lighting, of which the last three are only drawn here: the preprocessor
# flips images and changes colours, for whole batches on the device.
# imagenet_bs128_pss_host.py does everything here
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='pss.AntialiasedResizedCrop',
        scale=224,
        crop_ratio_range=(0.25, 1.0)),
    dict(type='pss.DeferredFlip', prob=0.5, direction='horizontal'),
    dict(
        type='pss.DeferredColorJitter',
        brightness=0.4,
        contrast=0.4,
        saturation=0.4),
    dict(
        type='pss.DeferredLighting',
        eigval=[55.4625, 4.7940, 1.1475],
        eigvec=[[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140],
                [-0.5836, -0.6948, 0.4203]],
        alphastd=0.1),
    dict(type='pss.PackDeferred'),
]

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]

train_set = dict(
    type='pss.HeldOutSplit',
    every=held_out_every,
    held_out=False,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='train',
        pipeline=train_pipeline))
held_out_set = dict(
    type='pss.HeldOutSplit',
    every=held_out_every,
    held_out=True,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='train',
        pipeline=test_pipeline))
test_set = dict(
    type=dataset_type, data_root=data_root, split='val', pipeline=test_pipeline)

train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=train_set,
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
)
# augmented training images for batch-norm statistics: 9 batches of 1,024
calibration_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=train_set,
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=False,
)
val_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=held_out_set,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
)
test_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=test_set,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
)

val_evaluator = dict(type='pss.SubnetAccuracy', topk=(1, 5))
test_evaluator = val_evaluator

# in training: the largest and the smallest subnet on the held-out images, and
# how well scores agree with accuracy there, in 8 pools by 3 subnets of each
val_cfg = dict(
    type='pss.SubnetValLoop',
    calibration_dataloader=calibration_dataloader,
    calibration_batches=9,
    ranked_pools=8,
    ranked_members=3)
# after it: of every level the best subnet on the held-out images is kept and
# tested
test_cfg = dict(
    type='pss.SubnetTestLoop',
    calibration_dataloader=calibration_dataloader,
    calibration_batches=9,
    selection_dataloader=val_dataloader,
    # all subnets of each level; None tries the five best of its pool by score,
    # as the published program does
    search=dict(candidates=16, finalists=2))
