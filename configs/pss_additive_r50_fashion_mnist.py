# PSS-Net with the additive score, ResNet-50 on Fashion-MNIST (ours).
# python tools/train.py configs/pss_additive_r50_fashion_mnist.py
# Images are enlarged to up to 48 pixels, so that networks take long enough for
# trying servers; docs/serving.md says how. It is a short training on some of
# the images: minutes on two CPU cores.
_base_ = [
    '_base_/models/pss_r50.py',
    '_base_/datasets/fashion_mnist_bs128_pss.py',
    '_base_/schedules/imagenet_pss_250e.py',
    '_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        search_space=dict(resolutions=dict(start=24, stop=48, step=8))),
    head=dict(num_classes=10))

train_dataloader = dict(
    batch_size=64, dataset=dict(dataset=dict(indices=16000)))
# 1,000 held-out images
test_cfg = dict(
    selection_dataloader=dict(dataset=dict(dataset=dict(indices=12000))))
test_dataloader = dict(dataset=dict(indices=2000))

optim_wrapper = dict(optimizer=dict(lr=0.03))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=1,
        eta_min=0.,
        by_epoch=True,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=1, val_interval=2)  # no validation
auto_scale_lr = dict(base_batch_size=64)

default_hooks = dict(
    logger=dict(interval=20),
    pss_sampler=dict(
        # the space reaches from 38 to 213 MFLOPs; 7 pools
        budgets=dict(flops=dict(start=50, stop=200, step=25)),
        sampler=dict(score=dict(type='pss.AdditiveScore'))))
