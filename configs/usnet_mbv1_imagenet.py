# US-Net, MobileNetV1: one multiplier for the whole network, at 224 pixels.
# bash tools/dist_train.sh configs/usnet_mbv1_imagenet.py 8
# The multiplier goes down to 0.4, to 100 MFLOPs; PSS-Net's space begins at 107.
_base_ = 'pss_mbv1_imagenet.py'

model = dict(
    backbone=dict(search_space=dict(multipliers=(0.4, 1.), resolutions=[224])))
default_hooks = dict(pss_sampler=dict(sampler=dict(type='pss.UniformSampler')))
val_cfg = dict(ranked_pools=0)
