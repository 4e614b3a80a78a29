# Garments of Fashion-MNIST pasted on canvases of 96 x 96 pixels: 2,000 images
# to train on, 300 held out, 500 to test; 10 classes, one to three garments an
# image. `python tools/dataset_converters/fashion_mnist_detection.py` makes it.
dataset_type = 'CocoDataset'
data_root = 'data/fashion_mnist_detection/'
metainfo = dict(
    classes=('T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal',
             'Shirt', 'Sneaker', 'Bag', 'Ankle boot'))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    # keeps the size, and adds the scale_factor that undoes scaling of boxes
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                   'scale_factor')),
]
split = dict(type=dataset_type, data_root=data_root, metainfo=metainfo)
train_set = dict(
    **split,
    ann_file='annotations/train.json',
    data_prefix=dict(img='train/'),
    filter_cfg=dict(filter_empty_gt=True),
    pipeline=train_pipeline)

train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
    dataset=train_set)
val_dataloader = dict(
    batch_size=25,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **split,
        ann_file='annotations/held_out.json',
        data_prefix=dict(img='held_out/'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=25,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **split,
        ann_file='annotations/test.json',
        data_prefix=dict(img='test/'),
        test_mode=True,
        pipeline=test_pipeline))

val_evaluator = dict(
    type='CocoMetric',
    ann_file=data_root + 'annotations/held_out.json',
    metric='bbox')
test_evaluator = dict(
    type='CocoMetric',
    ann_file=data_root + 'annotations/test.json',
    metric='bbox')
