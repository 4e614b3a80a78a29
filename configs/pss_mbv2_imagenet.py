# PSS-Net, MobileNetV2, variant F: one pool for every 10 MFLOPs. The first and
# the last level, 70 and 300, are the smallest and the largest subnet's.
_base_ = [
    '_base_/models/pss_mbv2.py',
    '_base_/datasets/imagenet_bs128_pss.py',
    '_base_/schedules/imagenet_pss_250e.py',
    '_base_/default_runtime.py',
]

default_hooks = dict(
    pss_sampler=dict(budgets=dict(flops=dict(start=80, stop=290, step=10))))
