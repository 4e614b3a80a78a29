# US-Net, MobileNetV2: one multiplier for the whole network, at 224 pixels. It goes
# down to 0.35, to 59 MFLOPs; the space of PSS-Net begins at 69.
_base_ = 'pss_mbv2_imagenet.py'

model = dict(
    backbone=dict(search_space=dict(multipliers=(0.35, 1.), resolutions=[224])))
default_hooks = dict(pss_sampler=dict(sampler=dict(type='pss.UniformSampler')))
val_cfg = dict(ranked_pools=0)
