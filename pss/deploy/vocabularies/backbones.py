"""Layers and backbones that classifiers and detectors have in common."""

from typing import Dict

from mmpretrain.registry import MODELS

from ...models.backbones.slimmable_backbone import (
    SLIMMABLE_CONVS,
    SLIMMABLE_NORMS,
)
from .grammar import (
    Check,
    Entry,
    Family,
    boolean,
    by_name,
    choice,
    either,
    integer,
    list_of,
    mapping,
    number,
    optional,
    text,
)
from .values import CHANNELS, DIVISOR, EPS, SHARE, VALUE

_RESOLUTION = integer(1, 2048)
_STAGES = list_of(integer(0, 16), 1, 16)

_INPLACE: Dict[str, Check] = dict(inplace=boolean)
ACTIVATIONS = Family(
    MODELS, 'mmpretrain', {
        **{
            name: Entry(_INPLACE)
            for name in ('ReLU', 'ReLU6', 'SiLU')
        },
        'LeakyReLU':
        Entry(dict(_INPLACE, negative_slope=VALUE)),
        'ELU':
        Entry(dict(_INPLACE, alpha=VALUE)),
        'HSwish':
        Entry(_INPLACE),
        'HSigmoid':
        Entry(
            dict(bias=VALUE, divisor=DIVISOR, min_value=VALUE,
                 max_value=VALUE)),
        'Swish':
        Entry(),
        'GELU':
        Entry(),
        'Sigmoid':
        Entry(),
        'Tanh':
        Entry(),
    })
CONVOLUTIONS = Family(
    MODELS,
    'mmpretrain', {str(name): Entry()
                   for name in SLIMMABLE_CONVS if name},
    default='Conv2d')
NORMS = Family(
    MODELS, 'mmpretrain', {
        str(name):
        Entry(
            dict(
                requires_grad=boolean,
                eps=EPS,
                momentum=optional(SHARE),
                affine=boolean,
                track_running_stats=boolean,
                num_groups=CHANNELS,
                sync=boolean))
        for name in SLIMMABLE_NORMS
    })
_LAYERS: Dict[str, Check] = dict(
    conv_cfg=optional(CONVOLUTIONS), norm_cfg=NORMS)

_MULTIPLIERS = list_of(number(above=0, most=1), 2, 2)
_SPACE: Dict[str, Check] = dict(
    multipliers=_MULTIPLIERS,
    divisor=CHANNELS,
    resolutions=either(
        list_of(_RESOLUTION, 1, 1024),
        mapping(
            dict(start=_RESOLUTION, stop=_RESOLUTION, step=_RESOLUTION),
            ('start', 'stop', 'step'))))
_BACKBONE: Dict[str, Check] = dict(
    _LAYERS,
    out_indices=_STAGES,
    frozen_stages=integer(-1, 16),
    norm_eval=boolean,
    with_cp=boolean,
    search_space=optional(mapping(_SPACE)))
_WIDEN = number(above=0, most=16)
_DROPPED = number(least=0, below=1)
_RESNET: Dict[str, Check] = dict(
    depth=choice(18, 34, 50, 101, 152),
    in_channels=CHANNELS,
    stem_channels=CHANNELS,
    base_channels=CHANNELS,
    expansion=optional(integer(1, 16)),
    num_stages=integer(1, 4),
    strides=list_of(integer(1, 4), 1, 4),
    dilations=list_of(integer(1, 16), 1, 4),
    style=choice('pytorch', 'caffe'),
    deep_stem=boolean,
    avg_down=boolean,
    zero_init_residual=boolean,
    drop_path_rate=_DROPPED)
_ARCH: Dict[str, Check] = dict(
    arch=text(64), out_indices=_STAGES, norm_eval=boolean, with_cp=boolean)
# What pss.SlimmableBackbone is made of; any other has to be trusted.
CONVERTIBLE = Family(
    MODELS,
    'mmpretrain', {
        **{
            name:
            Entry(
                dict(
                    _LAYERS,
                    **_RESNET,
                    out_indices=_STAGES,
                    norm_eval=boolean,
                    with_cp=boolean), ['depth'])
            for name in ('ResNet', 'ResNetV1c', 'ResNetV1d')
        },
        'ResNeXt':
        Entry(
            dict(
                _LAYERS,
                **_RESNET,
                out_indices=_STAGES,
                groups=CHANNELS,
                width_per_group=CHANNELS), ['depth']),
        'RegNet':
        Entry(
            dict(
                _ARCH,
                stem_channels=CHANNELS,
                strides=list_of(integer(1, 4), 4, 4)), ['arch']),
        'MobileNetV2':
        Entry(dict(_LAYERS, widen_factor=_WIDEN, out_indices=_STAGES)),
        'MobileNetV3':
        Entry(_ARCH, ['arch']),
        'EfficientNet':
        Entry(_ARCH, ['arch']),
        'EfficientNetV2':
        Entry(_ARCH, ['arch']),
        'ConvNeXt':
        Entry(
            dict(
                _ARCH,
                in_channels=CHANNELS,
                stem_patch_size=integer(1, 64),
                use_grn=boolean,
                linear_pw_conv=boolean,
                drop_path_rate=_DROPPED,
                layer_scale_init_value=VALUE,
                gap_before_final_norm=boolean), ['arch']),
        'VGG':
        Entry(
            dict(
                _LAYERS,
                depth=choice(11, 13, 16, 19),
                num_stages=integer(1, 5),
                dilations=list_of(integer(1, 16), 1, 5),
                out_indices=_STAGES), ['depth']),
    },
    parts=(CONVOLUTIONS, NORMS, ACTIVATIONS))
_PATTERNS = list_of(text(256), 0, 256)
BACKBONES = Family(
    MODELS,
    'mmpretrain', {
        'pss.SlimmableMobileNetV1':
        Entry(dict(_BACKBONE, widen_factor=_WIDEN, act_cfg=ACTIVATIONS)),
        'pss.SlimmableMobileNetV2':
        Entry(
            dict(
                _BACKBONE,
                widen_factor=_WIDEN,
                act_cfg=ACTIVATIONS,
                strides=optional(list_of(integer(1, 2), 8, 8)),
                search_space=optional(
                    mapping(dict(_SPACE, unit=choice('stage', 'block')))))),
        'pss.SlimmableResNet':
        Entry(dict(_BACKBONE, **_RESNET), ['depth']),
        'pss.SlimmableBackbone':
        Entry(
            dict(
                backbone=CONVERTIBLE,
                input_size=optional(_RESOLUTION),
                input_channels=optional(CHANNELS),
                exclude=_PATTERNS,
                tie=_PATTERNS,
                multipliers=optional(by_name(_MULTIPLIERS)),
                search_space=optional(mapping(_SPACE))), ['backbone']),
    },
    parts=(CONVOLUTIONS, NORMS, ACTIVATIONS))
