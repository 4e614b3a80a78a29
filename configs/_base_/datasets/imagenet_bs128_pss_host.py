# ImageNet, augmented by mmpretrain's own transforms, image by image
_base_ = 'imagenet_bs128_pss.py'

data_preprocessor = dict(type='ClsDataPreprocessor')

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResizedCrop',
        scale=224,
        crop_ratio_range=(0.25, 1.0),
        backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4),
    # not to_rgb=True, after which the preprocessor would turn channels back;
    # so the rows of eigvec are for blue, green and red
    dict(
        type='Lighting',
        eigval=[55.4625, 4.7940, 1.1475],
        eigvec=[[-0.5836, -0.6948, 0.4203], [-0.5808, -0.0045, -0.8140],
                [-0.5675, 0.7192, 0.4009]],
        alphastd=0.1,
        to_rgb=False),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
calibration_dataloader = dict(
    dataset=dict(dataset=dict(pipeline=train_pipeline)))
test_cfg = dict(
    calibration_dataloader=dict(
        dataset=dict(dataset=dict(pipeline=train_pipeline))))
val_cfg = dict(
    calibration_dataloader=dict(
        dataset=dict(dataset=dict(pipeline=train_pipeline))))
