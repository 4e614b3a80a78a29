# What adaptive detectors on COCO share: the images held out from training, the
# loops that evaluate many subnets, and their loaders. All are variables; what
# differs from detector to detector, pipelines and batch sizes, is added by
# coco_adaptive.py and ssdlite_coco_adaptive.py.

# one training image in so many is held out for choosing the kept subnets
held_out_every = 50
training_split = dict(
    type='pss.HeldOutSplit', every=held_out_every, held_out=False)
held_out_split = dict(
    type='pss.HeldOutSplit', every=held_out_every, held_out=True)
# mmdet's training images
held_out_images = dict(
    type='CocoDataset',
    data_root='data/coco/',
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img='train2017/'),
    filter_cfg=dict(filter_empty_gt=True, min_size=32))
held_out_packing = dict(
    type='PackDetInputs',
    # instances: the evaluator has no annotation file and takes them from the
    # images
    meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
               'instances'))
held_out_loading = dict(
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False))
held_out_evaluator = dict(type='CocoMetric', metric='bbox')

calibration_loading = dict(
    num_workers=2, sampler=dict(type='DefaultSampler', shuffle=True))
subnet_val_loop = dict(type='pss.SubnetValLoop', calibration_batches=20)
subnet_test_loop = dict(
    type='pss.SubnetTestLoop',
    calibration_batches=20,
    selection_evaluator=held_out_evaluator,
    metric='bbox_mAP',
    candidates=3)
