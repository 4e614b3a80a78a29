# PSS-Net, ResNet-50, variant F: one pool for every 100 MFLOPs of a space that
# reaches from 759 to 4,089. The first and the last level, 800 and 4,100, are
# the smallest and the largest subnet's.
_base_ = [
    '_base_/models/pss_r50.py',
    '_base_/datasets/imagenet_bs128_pss.py',
    '_base_/schedules/imagenet_pss_250e.py',
    '_base_/default_runtime.py',
]

default_hooks = dict(
    pss_sampler=dict(budgets=dict(flops=dict(start=900, stop=4000, step=100))))
