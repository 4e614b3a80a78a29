# MutualNet, MobileNetV2 on Fashion-MNIST: one multiplier for the whole network.
# python tools/train.py configs/mutualnet_mbv2_fashion_mnist.py
# The smaller subnets of an iteration each draw one of four resolutions: an
# eighth of ImageNet's, but for 18, where PSS-Net's begin too.
_base_ = 'pss_mbv2_fashion_mnist.py'

model = dict(backbone=dict(search_space=dict(resolutions=[18, 20, 24, 28])))
default_hooks = dict(
    pss_sampler=dict(sampler=dict(type='pss.UniformSampler', mutual=True)))
val_cfg = dict(ranked_pools=0)
