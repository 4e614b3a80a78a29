# US-Net, MobileNetV2 on Fashion-MNIST: one multiplier for the whole network.
# python tools/train.py configs/usnet_mbv2_fashion_mnist.py
# At 28 pixels. The multiplier goes down to 0.56, to 8.8 MFLOPs; PSS-Net's space
# begins at 8.7.
_base_ = 'pss_mbv2_fashion_mnist.py'

model = dict(
    backbone=dict(search_space=dict(multipliers=(0.56, 1.), resolutions=[28])))
default_hooks = dict(pss_sampler=dict(sampler=dict(type='pss.UniformSampler')))
val_cfg = dict(ranked_pools=0)
