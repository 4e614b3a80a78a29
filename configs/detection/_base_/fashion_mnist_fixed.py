# The garments, for a detector whose backbone is one subnet
_base_ = [
    'fashion_mnist_detection.py', 'schedule_fashion_mnist.py', 'runtime.py'
]

default_hooks = dict(logger=dict(interval=20))
