# PSS-Net, MobileNetV2 on Fashion-MNIST: minutes on two CPU cores.
# python tools/train.py configs/pss_mbv2_fashion_mnist.py
# Data: python tools/dataset_converters/fashion_mnist.py; `make demo` does both.
#
# What people change, all with --cfg-options:
#   train_cfg.max_epochs=6 param_scheduler.1.T_max=6
#   default_hooks.pss_sampler.budgets.flops.step=2    fewer levels
#   test_cfg.search=None              choose as the published program does
#
# What is adapted to images of 28 x 28 pixels:
# - Strides. 2, 1, 1, 2, 2, 1, 2, 1 for the stem and the stages leave 14, 7, 4
#   and at the end 2 of 28 pixels (on ImageNet 2, 1, 2, 2, 2, 1, 2, 1 leave 7 of
#   224).
# - Resolutions. 18 to 28 in steps of 2 instead of 128 to 224 in steps of 8. At
#   16 the last stages would have a single pixel, and the costs a gap.
# The widths are those of ImageNet: 3,168 choices times 6 resolutions.
_base_ = [
    '_base_/models/pss_mbv2.py',
    '_base_/datasets/fashion_mnist_bs128_pss.py',
    '_base_/schedules/imagenet_pss_250e.py',
    '_base_/default_runtime.py',
]

model = dict(
    channels_last=True,  # twice as fast on a CPU
    backbone=dict(
        strides=(2, 1, 1, 2, 2, 1, 2, 1),
        search_space=dict(resolutions=dict(start=18, stop=28, step=2))),
    head=dict(num_classes=10))

# the paper's 0.3 for 1,024 images is 0.0375 for 128; so short a training is
# steadier with a warm-up
optim_wrapper = dict(optimizer=dict(lr=0.04))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=3,
        eta_min=0.,
        by_epoch=True,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=3, val_interval=1)
auto_scale_lr = dict(base_batch_size=128)

default_hooks = dict(
    logger=dict(interval=20),
    pool_log=dict(interval=50),
    pss_sampler=dict(
        # the space reaches from 8.70 to 20.33 MFLOPs; 11 pools
        budgets=dict(flops=dict(start=9.5, stop=19.5, step=1))))
