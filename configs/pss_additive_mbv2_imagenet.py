# PSS-Net with the additive score, MobileNetV2: draws from whole levels (ours).
# bash tools/dist_train.sh configs/pss_additive_mbv2_imagenet.py 8
_base_ = 'pss_mbv2_imagenet.py'

default_hooks = dict(
    pss_sampler=dict(sampler=dict(score=dict(type='pss.AdditiveScore'))))
