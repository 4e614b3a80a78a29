# Random sampling, MobileNetV2 on Fashion-MNIST: pools collect, never steer.
# python tools/train.py configs/random_mbv2_fashion_mnist.py
_base_ = 'pss_mbv2_fashion_mnist.py'

default_hooks = dict(pss_sampler=dict(sampler=dict(p=dict(ratio=1.))))
