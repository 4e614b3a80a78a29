# MutualNet, MobileNetV2: one multiplier for the whole network, and one of four
# resolutions for each of the smaller subnets of an iteration.
_base_ = 'pss_mbv2_imagenet.py'

model = dict(backbone=dict(search_space=dict(resolutions=[128, 160, 192, 224])))
optim_wrapper = dict(passes=4)
default_hooks = dict(pss_sampler=dict(method='mutualnet'))
val_cfg = dict(ranked_pools=0)
