# the paper's schedule; weight decay only on the classifier's weights and those of
# convolutions that are not depthwise
optim_wrapper = dict(
    type='pss.SandwichOptimWrapper',
    # a first layer of one input channel is not depthwise
    constructor='pss.OptimWrapperConstructor',
    optimizer=dict(
        type='SGD', lr=0.3, momentum=0.9, weight_decay=1e-4, nesterov=True),
    paramwise_cfg=dict(
        norm_decay_mult=0., bias_decay_mult=0., dwconv_decay_mult=0.))

param_scheduler = dict(
    type='CosineAnnealingLR',
    T_max=250,
    eta_min=0.,
    by_epoch=True,
    convert_to_iter_based=True)

train_cfg = dict(type='pss.SupernetTrainLoop', max_epochs=250, val_interval=5)

# `--auto-scale-lr` scales the learning rate to the actual batch size
auto_scale_lr = dict(base_batch_size=1024, enable=False)
