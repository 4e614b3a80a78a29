# MobileNetV2 as a detector's backbone, from the bank of pss_mbv2_imagenet.py
backbone = dict(
    type='pss.SlimmableMobileNetV2',
    out_indices=(1, 2, 4, 6),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='bank://work_dirs/pss_mbv2_imagenet/bank',
        prefix='backbone.'))
# what its largest subnet hands to the neck
channels = [24, 32, 96, 320]

# The smallest subnet, for fixed detectors, and what it hands to the neck; any
# that the bank keeps can take its place, with its own channels.
subnet = dict(resolution=128, widths=(24, 16, 24, 24, 48, 72, 120, 240))
subnet_channels = [24, 24, 72, 240]
