"""Small networks, their configs and their banks."""

import copy

import numpy as np
import torch


def classifier_config(type='pss.SlimmableMobileNetV2', **backbone):
    """The config of a supernet with ten classes; MobileNetV2's by default."""
    backbone = dict(type=type, **backbone)
    return dict(
        type='pss.SupernetClassifier',
        backbone=backbone,
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(
            type='mmpretrain.LinearClsHead',
            num_classes=10,
            in_channels=1280,
            loss=dict(type='mmpretrain.CrossEntropyLoss')),
        data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor'))


def randomise_statistics(model):
    """Draws running statistics of batch norms at random, in place."""
    for name, buffer in model.named_buffers():
        if name.endswith('running_mean'):
            buffer.normal_(0, 0.1)
        elif name.endswith('running_var'):
            buffer.uniform_(0.5, 1.5)


def random_bank(num=6, classes=None, **backbone):
    """A supernet and its bank of random subnets, with costs in two resources.

    Args:
        num: subnets besides the smallest and the largest.
        classes: names of classes.
        **backbone: the backbone's config; a ResNet of one stage by default.
    """
    from pss.deploy import Bank, KeptSubnet
    from pss.deploy.bank_hook import versions, weights_of
    from pss.models import calibrate
    from pss.registry import MODELS
    from pss.resources import flops_table
    config = classifier_config(**(backbone or SMALL_RESNET))
    features = dict(MobileNetV2=1280, MobileNetV1=1024)
    config['head']['in_channels'] = features.get(
        config['backbone']['type'].replace('pss.Slimmable', ''),
        2048 if config['backbone'].get('depth') == 50 else 32)
    config['data_preprocessor'] = dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[120., 110., 100.],
        std=[60., 50., 40.],
        to_rgb=True)
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config)).eval()
    for name, parameter in model.named_parameters():
        if name.endswith('bn3.weight'):
            # 16 branches as strong as their shortcuts would magnify float32's
            # rounding a thousandfold; in trained networks they are weaker
            parameter.data.fill_(0.2)
    rng = np.random.default_rng(0)
    space, size = model.search_space, model.search_space.largest.resolution
    subnets = [
        space.smallest, *space.decode(space.random(rng, num)), space.largest
    ]
    statistics = calibrate(model, list(dict.fromkeys(subnets)),
                           [torch.randn(64, 3, size, size)])
    flops = flops_table(model)(space.encode(subnets))
    latency = rng.permutation(flops) * 100  # not in the order of FLOPs
    accuracy = rng.permutation(len(subnets)) + 50.
    names = ['smallest', *range(num), 'largest']
    kept = [
        KeptSubnet(
            name if isinstance(name, str) else f'flops {name}', subnet,
            dict(flops=float(f), latency_cpu=float(t)), float(a),
            float(a) - 1,
            *((None, None) if isinstance(name, str) else
              ('flops', float(name)))) for name, subnet, f, t, a in zip(
                  names, subnets, flops, latency, accuracy)
    ]
    return model, Bank(
        model=config,
        classes=classes,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='ResizeEdge',
                scale=size + 4,
                edge='short',
                backend='pillow'),
            dict(type='CenterCrop', crop_size=size),
            dict(type='PackInputs')
        ],
        input_shape=(3, size, size),
        resources=dict(flops='MFLOPs', latency_cpu='us'),
        metric='top1',
        kept=tuple(kept),
        weights=weights_of(model),
        statistics=statistics,
        samples=torch.randint(256, (2, 3, size, size), dtype=torch.uint8),
        versions=versions())


SMALL_RESNET = dict(
    type='pss.SlimmableResNet',
    depth=18,
    num_stages=1,
    out_indices=(0, ),
    strides=(1, ),
    dilations=(1, ),
    stem_channels=32,
    base_channels=32,
    search_space=dict(resolutions=[16, 20, 24]))

# five convolutions
TINY_RESNET = dict(
    SMALL_RESNET, stem_channels=16, base_channels=16, zero_init_residual=False)

# the three networks of the configs, at small resolutions
NETWORKS = {
    'mbv1':
    dict(
        type='pss.SlimmableMobileNetV1',
        search_space=dict(resolutions=[24, 32])),
    'mbv2':
    dict(
        type='pss.SlimmableMobileNetV2',
        search_space=dict(resolutions=[24, 32])),
    'r50':
    dict(
        type='pss.SlimmableResNet',
        depth=50,
        zero_init_residual=False,
        search_space=dict(resolutions=[48, 64])),
}
