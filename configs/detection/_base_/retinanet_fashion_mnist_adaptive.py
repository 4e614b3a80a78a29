# The small RetinaNet, for a supernet as the backbone
_base_ = 'retinanet_fashion_mnist.py'

model = dict(
    type='pss.SupernetDetector',
    detector='mmdet.RetinaNet',
    input_size=(96, 96),
    channels_last=True)  # a third faster on a CPU
