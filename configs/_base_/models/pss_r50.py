# ResNet-50: stem, 4 stage outputs, 16 inner widths. The paper uses ResNet-50,
# but its space is not public; this one is ours.
model = dict(
    type='pss.SupernetClassifier',
    channels_last='auto',  # on CPUs
    backbone=dict(
        type='pss.SlimmableResNet',
        depth=50,
        search_space=dict(resolutions=dict(start=128, stop=224, step=8))),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=2048,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0)))
