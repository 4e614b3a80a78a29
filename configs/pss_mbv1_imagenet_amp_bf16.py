# PSS-Net, MobileNetV1, variant F, in mixed precision: bfloat16 in training and evaluation.
_base_ = ['pss_mbv1_imagenet.py']

model = dict(channels_last=True)  # what tensor cores work on
optim_wrapper = dict(amp='bfloat16')
val_cfg = dict(amp='bfloat16')
test_cfg = dict(amp='bfloat16')
