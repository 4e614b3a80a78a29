# PSS-Net with the additive score, ResNet-50: draws from whole levels (ours).
# bash tools/dist_train.sh configs/pss_additive_r50_imagenet.py 8
_base_ = 'pss_r50_imagenet.py'

default_hooks = dict(
    pss_sampler=dict(sampler=dict(score=dict(type='pss.AdditiveScore'))))
