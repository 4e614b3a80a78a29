"""What the bank of a classifier may say: networks and preprocessing.

Preprocessing is what inference needs and a program without PyTorch can follow:
load, resize, crop; the order of channels and the normalisation follow in the
model's ``data_preprocessor``.
"""

from typing import Any, Dict, List, Mapping

from mmpretrain.registry import MODELS, TRANSFORMS

from ..checks import check_choice, shown
from ..errors import InputError
from ..models.backbones.slimmable_backbone import (
    SLIMMABLE_CONVS,
    SLIMMABLE_NORMS,
)
from .vocabulary import (
    Check,
    Entry,
    Family,
    Trust,
    boolean,
    choice,
    either,
    integer,
    list_of,
    mapping,
    nothing,
    number,
    optional,
)

# beyond what any network here has; real sizes follow from the weights
SIDE = integer(1, 8192)
RESOLUTION = integer(1, 2048)
# what float32 can hold with room to spare
VALUE = number(least=-1e6, most=1e6)
DIVISOR = number(least=1e-6, most=1e6)
EPS = number(least=1e-12, most=1)
CHANNELS = integer(1, 65536)
CLASSES = integer(1, 1_000_000)
SHARE = number(least=0, most=1)
STAGES = list_of(integer(0, 16), 1, 16)
REDUCTION = choice('mean', 'sum', 'none')
BY_BACKEND = {
    'cv2': ('nearest', 'bilinear', 'bicubic', 'lanczos', 'area'),
    'pillow': ('nearest', 'bilinear', 'bicubic', 'lanczos', 'box', 'hamming')
}
INTERPOLATIONS = tuple(
    dict.fromkeys(name for names in BY_BACKEND.values() for name in names))

_INPLACE = dict(inplace=boolean)
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
    'mmpretrain', {name: Entry()
                   for name in SLIMMABLE_CONVS if name},
    default='Conv2d')
NORMS = Family(
    MODELS, 'mmpretrain', {
        name:
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
_LAYERS = dict(conv_cfg=optional(CONVOLUTIONS), norm_cfg=NORMS)

SPACE: Dict[str, Check] = dict(
    multipliers=list_of(number(above=0, most=1), 2, 2),
    divisor=CHANNELS,
    resolutions=either(
        list_of(RESOLUTION, 1, 1024),
        mapping(
            dict(start=RESOLUTION, stop=RESOLUTION, step=RESOLUTION),
            ('start', 'stop', 'step'))))
_BACKBONE: Dict[str, Check] = dict(
    _LAYERS,
    out_indices=STAGES,
    frozen_stages=integer(-1, 16),
    norm_eval=boolean,
    with_cp=boolean,
    search_space=optional(mapping(SPACE)))
_WIDEN = number(above=0, most=16)
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
                    mapping(dict(SPACE, unit=choice('stage', 'block')))))),
        'pss.SlimmableResNet':
        Entry(
            dict(
                _BACKBONE,
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
                drop_path_rate=number(least=0, below=1)), ['depth']),
    },
    parts=(CONVOLUTIONS, NORMS, ACTIVATIONS))

NECKS = Family(
    MODELS,
    'mmpretrain', {
        'GlobalAveragePooling':
        Entry(dict(dim=integer(1, 3))),
        'GeneralizedMeanPooling':
        Entry(
            dict(
                p=number(least=0.01, most=100),
                eps=EPS,
                clamp=boolean,
                p_trainable=boolean)),
    },
    parts=(CONVOLUTIONS, NORMS, ACTIVATIONS))

_WEIGHTED = dict(reduction=REDUCTION, loss_weight=number())
_BY_CLASS = dict(
    class_weight=optional(list_of(number())),
    pos_weight=optional(list_of(number())))
LOSSES = Family(
    MODELS, 'mmpretrain', {
        'CrossEntropyLoss':
        Entry(
            dict(_WEIGHTED, **_BY_CLASS, use_sigmoid=boolean,
                 use_soft=boolean)),
        'LabelSmoothLoss':
        Entry(
            dict(
                _WEIGHTED,
                **_BY_CLASS,
                label_smooth_val=SHARE,
                num_classes=optional(CLASSES),
                use_sigmoid=optional(boolean),
                mode=choice('original', 'classy_vision', 'multi_label')),
            ['label_smooth_val']),
        'FocalLoss':
        Entry(dict(_WEIGHTED, gamma=number(), alpha=number())),
        'AsymmetricLoss':
        Entry(
            dict(
                _WEIGHTED,
                gamma_pos=number(),
                gamma_neg=number(),
                clip=number(),
                use_sigmoid=boolean,
                eps=number(above=0))),
    })

_LINEAR = dict(num_classes=CLASSES, in_channels=CHANNELS, loss=LOSSES)
_SINGLE = dict(
    _LINEAR,
    cal_acc=boolean,
    topk=either(list_of(integer(1), 1, 100), integer(1)))
_SEVERAL = dict(_LINEAR, thr=optional(number()), topk=optional(integer(1)))
_SIZES = ('num_classes', 'in_channels')
HEADS = Family(
    MODELS,
    'mmpretrain', {
        'LinearClsHead':
        Entry(_SINGLE, _SIZES),
        'StackedLinearClsHead':
        Entry(
            dict(
                _SINGLE,
                mid_channels=list_of(CHANNELS, 1, 16),
                dropout_rate=SHARE,
                norm_cfg=nothing,
                act_cfg=optional(ACTIVATIONS)), (*_SIZES, 'mid_channels')),
        'MultiLabelLinearClsHead':
        Entry(_SEVERAL, _SIZES),
        'CSRAClsHead':
        Entry(
            dict(_SEVERAL, num_heads=choice(1, 2, 4, 6, 8), lam=number()),
            (*_SIZES, 'num_heads', 'lam')),
    },
    parts=(LOSSES, NORMS, ACTIVATIONS))

PREPROCESSORS = Family(
    MODELS,
    'mmpretrain', {
        'ClsDataPreprocessor':
        Entry(
            dict(
                mean=optional(list_of(VALUE, 1, 1024)),
                std=optional(list_of(DIVISOR, 1, 1024)),
                pad_size_divisor=SIDE,
                pad_value=VALUE,
                to_rgb=boolean,
                to_onehot=boolean,
                num_classes=optional(CLASSES),
                batch_augments=nothing)),
    },
    default='ClsDataPreprocessor')

CLASSIFIERS = Family(
    MODELS, 'mmpretrain', {
        'pss.SupernetClassifier':
        Entry(
            dict(
                backbone=BACKBONES,
                neck=optional(NECKS),
                head=HEADS,
                data_preprocessor=optional(PREPROCESSORS),
                channels_last=boolean), ('backbone', 'head')),
    })

_RESIZED = dict(
    backend=choice('cv2', 'pillow'), interpolation=choice(*INTERPOLATIONS))
STEPS = Family(
    TRANSFORMS, 'mmpretrain', {
        'LoadImageFromFile':
        Entry(
            dict(
                color_type=choice('color', 'grayscale'),
                imdecode_backend=choice('cv2', 'pillow'),
                to_float32=choice(False),
                ignore_empty=choice(False))),
        'Resize':
        Entry(
            dict(
                _RESIZED,
                scale=either(list_of(SIDE, 2, 2), SIDE),
                keep_ratio=boolean), ['scale']),
        'ResizeEdge':
        Entry(
            dict(
                _RESIZED,
                scale=SIDE,
                edge=choice('short', 'long', 'width', 'height')), ['scale']),
        'CenterCrop':
        Entry(dict(crop_size=either(list_of(SIDE, 2, 2), SIDE)), ['crop_size']),
        'PackInputs':
        Entry(),
    })


def check_classifier(model: Any, where: str, trust: Trust = ()) -> None:
    """Checks the config of a supernet that classifies.

    Args:
        model: the config.
        where: it stands, for the message.
        trust: packages whose registered classes are allowed besides.

    Raises:
        InputError: it names the field, its value and what was expected.
    """
    CLASSIFIERS(f'{where}: model', model, trust)


def check_pipeline(pipeline: Any, where: str, trust: Trust = ()) -> None:
    """Checks the steps from an image file to what a model takes.

    Args:
        pipeline: configs of the steps.
        where: they stand, for the message.
        trust: packages whose registered transforms are allowed besides.

    Raises:
        InputError: for a step that is unknown, or at the wrong place.
    """
    where = f'{where}: pipeline'
    list_of(STEPS, 1, 32)(where, pipeline, trust)
    for i, step in enumerate(pipeline):
        if 'interpolation' in step:
            check_choice(f'{where}[{i}].interpolation', step['interpolation'],
                         BY_BACKEND[step.get('backend', 'cv2')])
    names = [step['type'].rpartition('.')[2] for step in pipeline]
    if names.count('PackInputs') != 1 or names[-1] != 'PackInputs':
        raise InputError(f'{where}: {shown(names)}: expected one PackInputs, '
                         'at its end')
    if 'LoadImageFromFile' in names[1:]:
        raise InputError(f'{where}: {shown(names)}: expected '
                         'LoadImageFromFile at its beginning, or nowhere')


# what steps of a test pipeline have besides, which predictions do not need
_UNUSED: Mapping[str, Mapping[str, Any]] = {
    'LoadImageFromFile':
    dict(backend_args=None, file_client_args=None),
    'Resize':
    dict(clip_object_border=True, scale_factor=None),
    'CenterCrop':
    dict(clip_object_border=True, auto_pad=False, pad_cfg=dict(type='Pad')),
}


def inference_steps(pipeline: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """A config's test pipeline without what predictions do not need.

    Args:
        pipeline: its transforms; what is left out has its default, or names
            what a data sample carries along.
    """
    steps = []
    for step in pipeline:
        step = dict(step)
        name = str(step.get('type')).rpartition('.')[2]
        for key, default in _UNUSED.get(name, {}).items():
            if key in step and step[key] == default:
                del step[key]
        if name == 'PackInputs':
            step = dict(type=step['type'])
        steps.append(step)
    return steps
