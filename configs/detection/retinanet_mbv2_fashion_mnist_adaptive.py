# RetinaNet on garments over the supernet of `make demo`: 3,168 widths, 5 sizes.
# python tools/train.py configs/detection/retinanet_mbv2_fashion_mnist_adaptive.py
_base_ = [
    '_base_/retinanet_fashion_mnist_adaptive.py',
    '_base_/fashion_mnist_adaptive.py',
]

model = dict(
    backbone=dict(
        search_space=dict(resolutions=dict(start=64, stop=96, step=8))))
