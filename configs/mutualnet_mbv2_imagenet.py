# MutualNet, MobileNetV2: one multiplier for the whole network, and one of four
# resolutions for each of the smaller subnets of an iteration.
_base_ = 'pss_mbv2_imagenet.py'

model = dict(backbone=dict(search_space=dict(resolutions=[128, 160, 192, 224])))
default_hooks = dict(
    pss_sampler=dict(sampler=dict(type='pss.UniformSampler', mutual=True)))
val_cfg = dict(ranked_pools=0)
