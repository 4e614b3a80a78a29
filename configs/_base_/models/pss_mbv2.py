# MobileNetV2: 3,168 widths times 13 resolutions, 41,184 subnets
model = dict(
    type='pss.SupernetClassifier',
    channels_last='auto',  # on CPUs
    backbone=dict(
        type='pss.SlimmableMobileNetV2',
        search_space=dict(resolutions=dict(start=128, stop=224, step=8))),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=1280,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0)))
