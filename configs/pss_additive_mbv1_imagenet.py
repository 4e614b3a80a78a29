# PSS-Net with the additive score, MobileNetV1: draws from whole levels (ours).
# bash tools/dist_train.sh configs/pss_additive_mbv1_imagenet.py 8
_base_ = 'pss_mbv1_imagenet.py'

default_hooks = dict(
    pss_sampler=dict(sampler=dict(score=dict(type='pss.AdditiveScore'))))
