# PSS-Net, MobileNetV2, variant F, training and evaluation in bfloat16.
# bash tools/dist_train.sh configs/pss_mbv2_imagenet_amp_bf16.py 8
_base_ = ['pss_mbv2_imagenet.py']

model = dict(channels_last=True)  # what tensor cores work on
optim_wrapper = dict(amp='bfloat16')
val_cfg = dict(amp='bfloat16')
test_cfg = dict(amp='bfloat16')
