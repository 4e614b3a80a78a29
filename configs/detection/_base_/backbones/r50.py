# ResNet-50 as a detector's backbone, from the bank of pss_r50_imagenet.py
backbone = dict(
    type='pss.SlimmableResNet',
    depth=50,
    out_indices=(0, 1, 2, 3),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='bank://work_dirs/pss_r50_imagenet/bank',
        prefix='backbone.'))
# what its largest subnet hands to the neck
channels = [256, 512, 1024, 2048]

# The smallest subnet, for fixed detectors, and what it hands to the neck; any
# that the bank keeps can take its place, with its own channels.
subnet = dict(
    resolution=128,
    widths=(48, 192, 384, 768, 1536, 48, 48, 48, 96, 96, 96, 96, 192, 192, 192,
            192, 192, 192, 384, 384, 384))
subnet_channels = [192, 384, 768, 1536]
