"""The bank of a classifier: its networks and their preprocessing.

The preprocessing is what inference needs and a program without PyTorch can
reproduce: load, resize, crop. The order of channels and the normalisation are
in the model's ``data_preprocessor``.
"""

from typing import Any, Dict

from mmpretrain.registry import MODELS, TRANSFORMS

from ...checks import check_choice, shown
from ...errors import InputError
from .backbones import ACTIVATIONS, BACKBONES, CONVOLUTIONS, NORMS
from .grammar import (
    Check,
    Entry,
    Family,
    Trust,
    boolean,
    choice,
    either,
    integer,
    list_of,
    nothing,
    number,
    optional,
)
from .steps import BACKENDS, INTERPOLATION, LOAD_IMAGE, RESIZE, class_names
from .values import (
    CHANNELS,
    CLASSES,
    DIVISOR,
    EPS,
    SHARE,
    SIDE,
    VALUE,
    WEIGHTED,
)

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

_BY_CLASS: Dict[str, Check] = dict(
    class_weight=optional(list_of(number())),
    pos_weight=optional(list_of(number())))
LOSSES = Family(
    MODELS, 'mmpretrain', {
        'CrossEntropyLoss':
        Entry(
            dict(WEIGHTED, **_BY_CLASS, use_sigmoid=boolean, use_soft=boolean)),
        'LabelSmoothLoss':
        Entry(
            dict(
                WEIGHTED,
                **_BY_CLASS,
                label_smooth_val=SHARE,
                num_classes=optional(CLASSES),
                use_sigmoid=optional(boolean),
                mode=choice('original', 'classy_vision', 'multi_label')),
            ['label_smooth_val']),
        'FocalLoss':
        Entry(dict(WEIGHTED, gamma=number(), alpha=number())),
        'AsymmetricLoss':
        Entry(
            dict(
                WEIGHTED,
                gamma_pos=number(),
                gamma_neg=number(),
                clip=number(),
                use_sigmoid=boolean,
                eps=number(above=0))),
    })

_LINEAR: Dict[str, Check] = dict(
    num_classes=CLASSES, in_channels=CHANNELS, loss=LOSSES)
_SINGLE: Dict[str, Check] = dict(
    _LINEAR,
    cal_acc=boolean,
    topk=either(list_of(integer(1), 1, 100), integer(1)))
_SEVERAL: Dict[str, Check] = dict(
    _LINEAR, thr=optional(number()), topk=optional(integer(1)))
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
                channels_last=either(boolean, choice('auto'))),
            ('backbone', 'head')),
    })

STEPS = Family(
    TRANSFORMS, 'mmpretrain', {
        'LoadImageFromFile':
        LOAD_IMAGE,
        'Resize':
        RESIZE,
        'ResizeEdge':
        Entry(
            dict(
                INTERPOLATION,
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
        where: the file or config it is in, for the message.
        trust: packages whose registered classes are allowed as well.

    Raises:
        InputError: it names the field, its value and what was expected.
    """
    CLASSIFIERS(f'{where}: model', model, trust)


def check_pipeline(pipeline: Any, where: str, trust: Trust = ()) -> None:
    """Checks the steps from an image file to a classifier's input.

    Args:
        pipeline: configs of the steps.
        where: the file or config they are in, for the message.
        trust: packages whose registered transforms are allowed as well.

    Raises:
        InputError: for an unknown step, and for one at the wrong place.
    """
    where = f'{where}: pipeline'
    list_of(STEPS, 1, 32)(where, pipeline, trust)
    for i, step in enumerate(pipeline):
        backend = step.get('backend', 'cv2')
        # a trusted package's step may have another backend
        if 'interpolation' in step and backend in tuple(BACKENDS):
            check_choice(f'{where}[{i}].interpolation', step['interpolation'],
                         BACKENDS[backend])
    names = class_names(pipeline)
    if names.count('PackInputs') != 1 or names[-1] != 'PackInputs':
        raise InputError(f'{where}: {shown(names)}: expected one PackInputs, '
                         'at its end')
    if 'LoadImageFromFile' in names[1:]:
        raise InputError(f'{where}: {shown(names)}: expected '
                         'LoadImageFromFile at its beginning, or nowhere')
