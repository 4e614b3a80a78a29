# PSS-Net, MobileNetV1, variant F, training and evaluation in float16.
# bash tools/dist_train.sh configs/pss_mbv1_imagenet_amp_fp16.py 8
_base_ = ['pss_mbv1_imagenet.py']

model = dict(channels_last=True)  # what tensor cores work on
optim_wrapper = dict(amp='float16')
val_cfg = dict(amp='float16')
test_cfg = dict(amp='float16')
