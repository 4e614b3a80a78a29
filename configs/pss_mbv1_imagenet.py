# PSS-Net, MobileNetV1, variant F: a pool for every 10 MFLOPs.
# bash tools/dist_train.sh configs/pss_mbv1_imagenet.py 8
# The first and the last level, 110 and 570, are the smallest and the largest
# subnet's and have no pool.
_base_ = [
    '_base_/models/pss_mbv1.py',
    '_base_/datasets/imagenet_bs128_pss.py',
    '_base_/schedules/imagenet_pss_250e.py',
    '_base_/default_runtime.py',
]

default_hooks = dict(
    pss_sampler=dict(budgets=dict(flops=dict(start=120, stop=560, step=10))))
