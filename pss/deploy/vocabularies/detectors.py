"""The bank of a detector: MMDetection's networks and their preprocessing.

Only a detector's wrapper, :class:`.SupernetDetector`, and the backbones are
this package's. MMDetection is optional; it is imported only when a detector
is checked.
"""

from importlib.util import find_spec
from typing import Any, Dict

from ...checks import check_choice, check_text, shown
from ...errors import InputError
from .detector_parts import (
    DENSE_HEADS,
    LISTED_BACKBONES,
    NECKS,
    PREPROCESSORS,
    PROPOSAL_HEADS,
    ROI_HEADS,
    Listed,
    suppression,
)
from .grammar import (
    Check,
    Entry,
    Trust,
    boolean,
    choice,
    either,
    integer,
    list_of,
    mapping,
    number,
    optional,
    text,
)
from .steps import LOAD_IMAGE, RESIZE, class_names
from .values import SIDE

WRAPPERS = ('pss.SupernetDetector', 'pss.ResizedDetector')

# what is done with the boxes
_BOXES: Dict[str, Check] = dict(
    nms=optional(suppression),
    max_per_img=integer(1, 100_000),
    nms_pre=integer(-1, 1_000_000),
    min_bbox_size=number(least=-1))
_SCORED: Dict[str, Check] = dict(_BOXES, score_thr=number())
_DENSE_TEST = mapping(_SCORED, ('nms', 'max_per_img'))
_TWO_STAGE_TEST = mapping(
    dict(
        rpn=mapping(_BOXES, ('nms', 'max_per_img')),
        rcnn=mapping(
            dict(
                nms=_SCORED['nms'],
                score_thr=_SCORED['score_thr'],
                max_per_img=_SCORED['max_per_img']),
            ('score_thr', 'nms', 'max_per_img'))), ('rpn', 'rcnn'))

# keys of the wrapper around a detector; the others are the detector's
OWN_KEYS: Dict[str, Check] = dict(
    detector=text(200),
    input_size=list_of(SIDE, 2, 2),
    distillation=number(least=0),
    channels_last=either(boolean, choice('auto')))
_SHARED: Dict[str, Check] = dict(
    OWN_KEYS,
    backbone=LISTED_BACKBONES,
    neck=optional(NECKS),
    data_preprocessor=PREPROCESSORS)
_NEEDED = ('input_size', 'backbone', 'test_cfg', 'data_preprocessor')
_ONE_STAGE = Entry(
    dict(_SHARED, bbox_head=DENSE_HEADS, test_cfg=_DENSE_TEST),
    (*_NEEDED, 'bbox_head'))
_TWO_STAGES = Entry(
    dict(
        _SHARED,
        rpn_head=PROPOSAL_HEADS,
        roi_head=ROI_HEADS,
        test_cfg=_TWO_STAGE_TEST), (*_NEEDED, 'rpn_head', 'roi_head'))
_NAMES_ONE_STAGE = ('RetinaNet', 'SingleStageDetector', 'ATSS', 'FCOS', 'GFL')
_NAMES_TWO_STAGES = ('FasterRCNN', 'CascadeRCNN', 'TwoStageDetector')
DETECTORS = Listed(
    'MODELS', {
        **dict.fromkeys(_NAMES_ONE_STAGE, _ONE_STAGE),
        **dict.fromkeys(_NAMES_TWO_STAGES, _TWO_STAGES),
    })


def is_detector(model: Any) -> bool:
    """Whether the config of a model is a detector's."""
    return isinstance(model, dict) and model.get('type') in WRAPPERS


def check_detector(model: Any, where: str, trust: Trust = ()) -> None:
    """Checks the config of a supernet that detects.

    Args:
        model: the config.
        where: the file or config it is in, for the message.
        trust: packages whose registered classes are allowed as well.

    Raises:
        InputError: it names the field, its value and what was expected; also
            if MMDetection is not installed.
    """
    import_mmdet(where)
    where = f'{where}: model'
    if not isinstance(model, dict):
        raise InputError(f'{where}={shown(model)}: expected an object')
    # a bank holds a supernet, not one subnet's detector
    check_choice(f'{where}.type', model.get('type'), WRAPPERS[:1])
    kind = check_text(f'{where}.detector', model.get('detector'))
    known = kind.removeprefix('mmdet.') in DETECTORS.entries
    DETECTORS(where if known else f'{where}.detector', dict(model, type=kind),
              trust)


def _identifier(where: str, value: Any, trust: Trust) -> None:
    """A Python identifier."""
    if not check_text(where, value).isidentifier():
        raise InputError(f'{where}={shown(value)}: expected a name')


_PIXEL = either(list_of(number(), 1, 4), number())
STEPS = Listed(
    'TRANSFORMS',
    {
        'LoadImageFromFile':
        LOAD_IMAGE,
        # banks drop it: predictions have no annotations
        'LoadAnnotations':
        Entry(
            dict(
                with_bbox=boolean,
                with_label=boolean,
                with_mask=choice(False),
                with_seg=choice(False))),
        'Resize':
        RESIZE,
        'FixScaleResize':
        RESIZE,
        'Pad':
        Entry(
            dict(
                size=optional(list_of(SIDE, 2, 2)),
                size_divisor=optional(integer(1, 1024)),
                pad_to_square=boolean,
                pad_val=either(
                    integer(),
                    mapping(dict(img=_PIXEL, masks=number(), seg=number()))),
                padding_mode=choice('constant', 'edge', 'reflect',
                                    'symmetric'))),
        'PackDetInputs':
        Entry(dict(meta_keys=list_of(_identifier, 0, 64))),
    })
# needed to scale boxes back to the size of the original image
_META = ('ori_shape', 'img_shape', 'scale_factor')


def check_detector_pipeline(pipeline: Any, where: str,
                            trust: Trust = ()) -> None:
    """Checks the steps from an image file to a detector's input.

    Args:
        pipeline: configs of the steps.
        where: the file or config they are in, for the message.
        trust: packages whose registered transforms are allowed as well.

    Raises:
        InputError: for an unknown step, and for one at the wrong place; also
            if MMDetection is not installed.
    """
    import_mmdet(where)
    where = f'{where}: pipeline'
    list_of(STEPS, 2, 32)(where, pipeline, trust)
    names = class_names(pipeline)
    for name, place, words in (('LoadImageFromFile', 0, 'beginning'),
                               ('PackDetInputs', -1, 'end')):
        if names.count(name) != 1 or names[place] != name:
            raise InputError(f'{where}: {shown(names)}: expected one {name}, '
                             f'at its {words}')
    keys = pipeline[-1].get('meta_keys', _META)
    if not set(_META) <= set(keys):
        raise InputError(f'{where}[{len(pipeline) - 1}].meta_keys='
                         f'{shown(keys)}: expected {", ".join(_META)} among '
                         'them')


def import_mmdet(where: str) -> None:
    """Imports MMDetection, and thereby fills its registries.

    Args:
        where: the file or config that needs it, for the message.

    Raises:
        InputError: if it is not installed.
    """
    if find_spec('mmdet') is None:
        raise InputError(f'{where}: a detector, which needs MMDetection; it '
                         'is not installed, see docs/detection.md')
    from mmdet.utils import register_all_modules
    register_all_modules(init_default_scope=False)
