# Random sampling, MobileNetV1: pools collect, never steer (p = 1).
# bash tools/dist_train.sh configs/random_mbv1_imagenet.py 8
_base_ = 'pss_mbv1_imagenet.py'

default_hooks = dict(pss_sampler=dict(sampler=dict(p=dict(ratio=1.))))
