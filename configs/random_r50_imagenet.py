# Random sampling, ResNet-50: PSS-Net with p = 1 throughout, so that the pools
# collect but never steer.
_base_ = 'pss_r50_imagenet.py'

default_hooks = dict(pss_sampler=dict(sampler=dict(p=dict(ratio=1.))))
