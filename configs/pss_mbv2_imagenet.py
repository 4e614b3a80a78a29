# PSS-Net, MobileNetV2, variant F: a pool for every 10 MFLOPs.
# bash tools/dist_train.sh configs/pss_mbv2_imagenet.py 8
# The first and the last level, 70 and 300, are the smallest and the largest
# subnet's and have no pool.
_base_ = [
    '_base_/models/pss_mbv2.py',
    '_base_/datasets/imagenet_bs128_pss.py',
    '_base_/schedules/imagenet_pss_250e.py',
    '_base_/default_runtime.py',
]

default_hooks = dict(
    pss_sampler=dict(budgets=dict(flops=dict(start=80, stop=290, step=10))))
