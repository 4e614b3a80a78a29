# PSS-Net, MobileNetV2, variant F: a pool for every 10 MFLOPs.
# bash tools/dist_train.sh configs/pss_mbv2_imagenet.py 8
# The first and the last level, 70 and 300, are the smallest and the largest
# subnet's and have no pool.
#
# What people change, all with --cfg-options:
#   default_hooks.pss_sampler.budgets.flops.step=20    fewer levels
#   model.backbone.search_space.resolutions=[128,160,192,224]    pixels
#   train_cfg.max_epochs=100 param_scheduler.T_max=100
#   train_dataloader.batch_size=64    with --auto-scale-lr
#   train_dataloader.num_workers=12   of each process
#   load_from=CHECKPOINT              mmpretrain's, to fine-tune
#   test_cfg.search=None              choose as the published program does
_base_ = [
    '_base_/models/pss_mbv2.py',
    '_base_/datasets/imagenet_bs128_pss.py',
    '_base_/schedules/imagenet_pss_250e.py',
    '_base_/default_runtime.py',
]

default_hooks = dict(
    pss_sampler=dict(budgets=dict(flops=dict(start=80, stop=290, step=10))))
