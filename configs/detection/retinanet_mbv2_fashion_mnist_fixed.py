# RetinaNet on garments over the smallest subnet of the bank of `make demo`.
# python tools/train.py configs/detection/retinanet_mbv2_fashion_mnist_fixed.py
_base_ = ['_base_/retinanet_fashion_mnist.py', '_base_/fashion_mnist_fixed.py']

model = dict(
    backbone=dict(
        search_space=dict(resolutions=dict(start=18, stop=28, step=2)),
        subnet=dict(resolution=18, widths=(24, 16, 24, 24, 48, 72, 120, 240))),
    neck=dict(in_channels=[72, 240]))  # those of the subnet
