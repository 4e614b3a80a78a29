# MutualNet, MobileNetV1: one multiplier for the whole network.
# bash tools/dist_train.sh configs/mutualnet_mbv1_imagenet.py 8
# The smaller subnets of an iteration each draw one of four resolutions.
_base_ = 'pss_mbv1_imagenet.py'

model = dict(backbone=dict(search_space=dict(resolutions=[128, 160, 192, 224])))
default_hooks = dict(
    pss_sampler=dict(sampler=dict(type='pss.UniformSampler', mutual=True)))
val_cfg = dict(ranked_pools=0)
