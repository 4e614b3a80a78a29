# PSS-Net, MobileNetV2 on your images: a folder with one folder a class.
# python tools/train.py configs/pss_mbv2_folder.py --cfg-options data_root=MY_FOLDER
# docs/your_data.md: what MY_FOLDER may look like, and more examples.
#
# What people change, all with --cfg-options (the defaults are for about 224
# pixels; None: from the data, see pss/config/data_filling.py):
#   data.held_out=0.1 data.test=0.1    shares of each class, unless MY_FOLDER has
#                                      folders for these parts; data.seed=0
#   data.skip_broken=True              instead of refusing them; data.check=decode
#   train_cfg.max_epochs=20            a cosine that ends with the last
#   train_dataloader.batch_size=64     and optim_wrapper.optimizer.lr=0.02
#   model.backbone.search_space.resolutions=[96,128,160]
#                                      pixels, e.g. [20,24,28] for small images
#   default_hooks.pss_sampler.budgets.flops.pools=12    levels
#   load_from=CHECKPOINT               mmpretrain's MobileNetV2, to fine-tune
_base_ = [
    '_base_/models/pss_mbv2.py',
    '_base_/datasets/folder_bs64_pss.py',
    '_base_/schedules/imagenet_pss_250e.py',
    '_base_/default_runtime.py',
]

model = dict(
    backbone=dict(strides=None, search_space=dict(resolutions=None)),
    head=dict(num_classes=None))

# the paper's 0.3 for 1,024 images is 0.02 for 64; so short a training is
# steadier with a warm-up
optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=None,
        eta_min=0.,
        by_epoch=True,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=20, val_interval=5)
auto_scale_lr = dict(base_batch_size=64)

default_hooks = dict(
    logger=dict(interval=20),
    pss_sampler=dict(budgets=dict(flops=dict(pools=12))))
