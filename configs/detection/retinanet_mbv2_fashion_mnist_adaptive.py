# RetinaNet on garments over the supernet of `make demo`: 3,168 widths, 5 sizes.
# python tools/train.py configs/detection/retinanet_mbv2_fashion_mnist_adaptive.py
_base_ = [
    '_base_/retinanet_fashion_mnist.py', '_base_/fashion_mnist_adaptive.py'
]

model = dict(
    type='pss.SupernetDetector',
    detector='mmdet.RetinaNet',
    input_size=(96, 96),
    channels_last=True,  # a third faster on a CPU
    backbone=dict(
        search_space=dict(resolutions=dict(start=64, stop=96, step=8))))
