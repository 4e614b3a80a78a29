# Random sampling, MobileNetV2 on Fashion-MNIST: PSS-Net with p = 1 throughout, so
# that the pools collect but never steer.
_base_ = 'pss_mbv2_fashion_mnist.py'

default_hooks = dict(pss_sampler=dict(sampler=dict(p=dict(ratio=1.))))
