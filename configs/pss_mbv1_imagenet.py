# PSS-Net, MobileNetV1, variant F: one pool for every 10 MFLOPs. The first and
# the last level, 110 and 570, are the smallest and the largest subnet's.
_base_ = [
    '_base_/models/pss_mbv1.py',
    '_base_/datasets/imagenet_bs128_pss.py',
    '_base_/schedules/imagenet_pss_250e.py',
    '_base_/default_runtime.py',
]

default_hooks = dict(
    pss_sampler=dict(budgets=dict(flops=dict(start=120, stop=560, step=10))))
