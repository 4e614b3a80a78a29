# MobileNetV1 as a detector's backbone, from the bank of pss_mbv1_imagenet.py
backbone = dict(
    type='pss.SlimmableMobileNetV1',
    out_indices=(1, 2, 3, 4),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='bank://work_dirs/pss_mbv1_imagenet/bank',
        prefix='backbone.'))
# what its largest subnet hands to the neck
channels = [128, 256, 512, 1024]

# The smallest subnet, for fixed detectors, and what it hands to the neck; any
# that the bank keeps can take its place, with its own channels.
subnet = dict(
    resolution=128,
    widths=(24, 48, 96, 96, 192, 192, 384, 384, 384, 384, 384, 384, 768, 768))
subnet_channels = [96, 192, 384, 768]
