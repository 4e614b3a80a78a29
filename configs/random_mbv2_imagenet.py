# Random sampling, MobileNetV2: PSS-Net with p = 1 throughout, so that the pools
# collect but never steer.
_base_ = 'pss_mbv2_imagenet.py'

default_hooks = dict(pss_sampler=dict(sampler=dict(p=dict(ratio=1.))))
