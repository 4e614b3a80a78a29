# PSS-Net with the additive score, MobileNetV2 on Fashion-MNIST (ours).
# python tools/train.py configs/pss_additive_mbv2_fashion_mnist.py
_base_ = 'pss_mbv2_fashion_mnist.py'

default_hooks = dict(
    pss_sampler=dict(sampler=dict(score=dict(type='pss.AdditiveScore'))))
