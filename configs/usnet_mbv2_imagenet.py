# US-Net, MobileNetV2: one multiplier for the whole network, at 224 pixels.
# bash tools/dist_train.sh configs/usnet_mbv2_imagenet.py 8
# The multiplier goes down to 0.35, to 59 MFLOPs; PSS-Net's space begins at 69.
_base_ = 'pss_mbv2_imagenet.py'

model = dict(
    backbone=dict(search_space=dict(multipliers=(0.35, 1.), resolutions=[224])))
default_hooks = dict(pss_sampler=dict(sampler=dict(type='pss.UniformSampler')))
val_cfg = dict(ranked_pools=0)
