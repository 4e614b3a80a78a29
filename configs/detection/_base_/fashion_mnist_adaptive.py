# The garments, for a detector whose backbone is a supernet: the largest, a
# sampled and the smallest subnet in each iteration, hence fewer of them
_base_ = [
    'fashion_mnist_detection.py',
    'schedule_fashion_mnist.py',
    'adaptive_runtime.py',
]

train_cfg = dict(max_epochs=4, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=4,
        eta_min=0.,
        by_epoch=True,
        convert_to_iter_based=True),
]
optim_wrapper = dict(type='pss.SandwichOptimWrapper')

calibration_dataloader = dict(
    batch_size=64,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=_base_.train_set)
val_cfg = dict(
    type='pss.SubnetValLoop',
    calibration_dataloader=calibration_dataloader,
    calibration_batches=4)
test_cfg = dict(
    type='pss.SubnetTestLoop',
    calibration_dataloader=calibration_dataloader,
    calibration_batches=8,
    selection_dataloader=_base_.val_dataloader,
    selection_evaluator=_base_.val_evaluator,
    metric='bbox_mAP',
    candidates=3)
# pools by the backbone's FLOPs at 96 x 96; the space reaches from about 108 to
# 239 MFLOPs
default_hooks = dict(
    logger=dict(interval=20),
    pss_sampler=dict(budgets=dict(flops=dict(pools=5))))
