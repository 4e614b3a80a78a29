"""The parts of MMDetection's networks: layers, losses, necks, boxes, heads.

mmcv evaluates the name of a non-maximum suppression and looks up a RoI layer
among its operators by name, so their names are listed as well.

MMDetection is optional; it is imported only when a detector is checked.
"""

from dataclasses import dataclass
from typing import Any, Dict, Mapping

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
    mapping,
    nothing,
    number,
    optional,
)
from .values import CHANNELS, CLASSES, SHARE, SIDE, WEIGHTED


class _PartsFamily(Family):
    """A family whose trusted classes may contain every part listed here, such
    as a loss in a head."""

    def _check_data(self, where: str, value: Any, trust: Trust) -> None:
        if isinstance(value, dict) and isinstance(value.get('type'), str):
            check = _PARTS.get(value['type'].removeprefix('mmdet.'))
            if check is not None:
                check(where, value, trust)
                return
        super()._check_data(where, value, trust)


@dataclass(frozen=True)
class Listed:
    """A family in one of MMDetection's registries, which is imported when the
    family is used; a ``Check``.

    Attributes:
        registry: its name in ``mmdet.registry``.
        entries: the list.
    """
    registry: str
    entries: Mapping[str, Entry]

    def __call__(self, where: str, value: Any, trust: Trust) -> None:
        from mmdet import registry
        _PartsFamily(getattr(registry, self.registry), 'mmdet',
                     self.entries)(where, value, trust)


# beyond what any network here has, as in .values
_MOST_LEVELS = 16
_DEPTH = integer(0, 16)
_SIZE = number(above=0, most=65536)
_PAIR = list_of(integer(1, 64), 2, 2)
_STRIDES = list_of(either(list_of(SIDE, 2, 2), SIDE), 1, _MOST_LEVELS)
_RATIOS = list_of(_SIZE, 1, 32)

# --- layers, losses --------------------------------------------------------

# the same lists as for classifiers, in MMDetection's registry
LISTED_BACKBONES, _CONVOLUTIONS, _NORMS, _ACTIVATIONS = (
    Listed('MODELS', family.entries)
    for family in (BACKBONES, CONVOLUTIONS, NORMS, ACTIVATIONS))
_LAYERS: Dict[str, Check] = dict(
    conv_cfg=optional(_CONVOLUTIONS), norm_cfg=optional(_NORMS))
_ACTIVATION: Dict[str, Check] = dict(act_cfg=optional(_ACTIVATIONS))

_SIGMOID: Dict[str, Check] = dict(
    WEIGHTED, use_sigmoid=choice(True), activated=boolean)
_OVERLAP: Dict[str, Check] = dict(WEIGHTED, eps=number(above=0))
LOSSES = Listed(
    'MODELS', {
        'CrossEntropyLoss':
        Entry(
            dict(
                WEIGHTED,
                use_sigmoid=boolean,
                use_mask=choice(False),
                class_weight=optional(list_of(number())),
                ignore_index=optional(integer()),
                avg_non_ignore=boolean)),
        'FocalLoss':
        Entry(dict(_SIGMOID, gamma=number(), alpha=number())),
        'QualityFocalLoss':
        Entry(dict(_SIGMOID, beta=number())),
        'DistributionFocalLoss':
        Entry(WEIGHTED),
        'L1Loss':
        Entry(WEIGHTED),
        'SmoothL1Loss':
        Entry(dict(WEIGHTED, beta=number(above=0))),
        'IoULoss':
        Entry(
            dict(
                _OVERLAP,
                linear=boolean,
                mode=choice('linear', 'square', 'log'))),
        'GIoULoss':
        Entry(_OVERLAP),
        'DIoULoss':
        Entry(_OVERLAP),
        'CIoULoss':
        Entry(_OVERLAP),
    })

# --- necks -----------------------------------------------------------------

_LEVELS = list_of(CHANNELS, 1, _MOST_LEVELS)
NECKS = Listed(
    'MODELS', {
        'FPN':
        Entry(
            dict(
                _LAYERS,
                **_ACTIVATION,
                in_channels=_LEVELS,
                out_channels=CHANNELS,
                num_outs=integer(1, _MOST_LEVELS),
                start_level=integer(0, 15),
                end_level=integer(-1, 15),
                add_extra_convs=choice(False, True, 'on_input', 'on_lateral',
                                       'on_output'),
                relu_before_extra_convs=boolean,
                no_norm_on_lateral=boolean,
                upsample_cfg=mapping(
                    dict(
                        mode=choice('nearest', 'bilinear'),
                        scale_factor=choice(2)))),
            ('in_channels', 'out_channels', 'num_outs')),
        'SSDNeck':
        Entry(
            dict(
                _LAYERS,
                **_ACTIVATION,
                in_channels=_LEVELS,
                out_channels=_LEVELS,
                level_strides=list_of(integer(1, 8), 0, _MOST_LEVELS),
                level_paddings=list_of(integer(0, 8), 0, _MOST_LEVELS),
                l2_norm_scale=optional(number()),
                last_kernel_size=integer(1, 7),
                use_depthwise=boolean),
            ('in_channels', 'out_channels', 'level_strides', 'level_paddings')),
    })

# --- anchors and boxes -----------------------------------------------------

ANCHORS = Listed(
    'TASK_UTILS',
    {
        'AnchorGenerator':
        Entry(
            dict(
                strides=_STRIDES,
                ratios=_RATIOS,
                scales=optional(_RATIOS),
                base_sizes=optional(list_of(_SIZE, 1, _MOST_LEVELS)),
                scale_major=boolean,
                octave_base_scale=optional(_SIZE),
                scales_per_octave=optional(integer(1, 16)),
                centers=optional(
                    list_of(list_of(number(), 2, 2), 1, _MOST_LEVELS)),
                center_offset=SHARE,
                use_box_type=choice(False)), ('strides', 'ratios')),
        # without basesize_ratio_range: mmdet wants a tuple, and JSON has lists
        'SSDAnchorGenerator':
        Entry(
            dict(
                strides=_STRIDES,
                ratios=list_of(_RATIOS, 1, _MOST_LEVELS),
                min_sizes=optional(list_of(_SIZE, 1, _MOST_LEVELS)),
                max_sizes=optional(list_of(_SIZE, 1, _MOST_LEVELS)),
                input_size=choice(300, 512),
                scale_major=boolean,
                use_box_type=choice(False)), ('strides', 'ratios')),
    })
CODERS = Listed(
    'TASK_UTILS', {
        'DeltaXYWHBBoxCoder':
        Entry(
            dict(
                target_means=list_of(number(), 4, 4),
                target_stds=list_of(number(above=0), 4, 4),
                clip_border=boolean,
                add_ctr_clamp=boolean,
                ctr_clamp=number(least=0),
                use_box_type=choice(False))),
        'DistancePointBBoxCoder':
        Entry(dict(clip_border=boolean, use_box_type=choice(False))),
    })

_THRESHOLD: Dict[str, Check] = dict(
    iou_threshold=SHARE,
    offset=choice(0, 1),
    class_agnostic=boolean,
    split_thr=integer(1))
_SUPPRESSIONS: Mapping[str, Mapping[str, Check]] = {
    'nms':
    dict(_THRESHOLD, score_threshold=number(), max_num=integer(-1)),
    'soft_nms':
    dict(
        _THRESHOLD,
        sigma=number(above=0),
        min_score=number(least=0),
        method=choice('naive', 'linear', 'gaussian')),
}


def suppression(where: str, value: Any, trust: Trust) -> None:
    """A non-maximum suppression, whose type mmcv evaluates."""
    if not isinstance(value, dict):
        raise InputError(f'{where}={shown(value)}: expected an object')
    kind = check_choice(f'{where}.type', value.get('type'),
                        tuple(_SUPPRESSIONS))
    mapping(dict(_SUPPRESSIONS[kind], type=choice(kind)),
            ['iou_threshold'])(where, value, trust)


# --- heads -----------------------------------------------------------------

_CLASSIFIED: Dict[str, Check] = dict(
    num_classes=CLASSES,
    in_channels=CHANNELS,
    loss_cls=LOSSES,
    loss_bbox=LOSSES,
    bbox_coder=CODERS)
_ANCHORED: Dict[str, Check] = dict(
    _CLASSIFIED,
    feat_channels=CHANNELS,
    anchor_generator=ANCHORS,
    reg_decoded_bbox=boolean)
_TOWERS: Dict[str, Check] = dict(_LAYERS, stacked_convs=_DEPTH)
_SIZES = ('num_classes', 'in_channels')
DENSE_HEADS = Listed(
    'MODELS', {
        'RetinaHead':
        Entry(dict(_ANCHORED, **_TOWERS), _SIZES),
        'SSDHead':
        Entry(
            dict(
                {
                    key: check
                    for key, check in _ANCHORED.items()
                    if not key.startswith('loss_')
                },
                **_TOWERS,
                **_ACTIVATION,
                in_channels=_LEVELS,
                use_depthwise=boolean)),
        'ATSSHead':
        Entry(
            dict(
                _ANCHORED,
                **_TOWERS,
                loss_centerness=LOSSES,
                pred_kernel_size=choice(1, 3, 5, 7)), _SIZES),
        'GFLHead':
        Entry(
            dict(
                _ANCHORED, **_TOWERS, loss_dfl=LOSSES, reg_max=integer(1, 128)),
            _SIZES),
        'FCOSHead':
        Entry(
            dict(
                _CLASSIFIED,
                **_TOWERS,
                feat_channels=CHANNELS,
                strides=_STRIDES,
                conv_bias=choice(False, True, 'auto'),
                dcn_on_last_conv=choice(False),
                loss_centerness=LOSSES,
                regress_ranges=list_of(
                    list_of(number(), 2, 2), 1, _MOST_LEVELS),
                center_sampling=boolean,
                center_sample_radius=number(above=0),
                norm_on_bbox=boolean,
                centerness_on_reg=boolean), _SIZES),
    })
PROPOSAL_HEADS = Listed(
    'MODELS', {
        'RPNHead':
        Entry(
            dict(_ANCHORED, num_classes=choice(1), num_convs=integer(1, 16)),
            ['in_channels']),
    })

_BBOX_HEAD: Dict[str, Check] = dict(
    _CLASSIFIED,
    with_avg_pool=boolean,
    with_cls=choice(True),
    with_reg=choice(True),
    roi_feat_size=either(_PAIR, integer(1, 64)),
    predict_box_type=choice('hbox'),
    reg_class_agnostic=boolean,
    reg_decoded_bbox=boolean)
_FULL: Dict[str, Check] = dict(
    _BBOX_HEAD, **_LAYERS, conv_out_channels=CHANNELS, fc_out_channels=CHANNELS)
BBOX_HEADS = Listed(
    'MODELS', {
        'BBoxHead':
        Entry(_BBOX_HEAD),
        'ConvFCBBoxHead':
        Entry(
            dict(
                _FULL, **{
                    f'num_{part}_{layers}': _DEPTH
                    for layers in ('convs', 'fcs')
                    for part in ('shared', 'cls', 'reg')
                })),
        'Shared2FCBBoxHead':
        Entry(_FULL),
        'Shared4Conv1FCBBoxHead':
        Entry(_FULL),
    })
# mmcv looks it up by name among its operators
ROI_LAYER = mapping(
    dict(
        type=choice('RoIAlign'),
        output_size=either(_PAIR, integer(1, 64)),
        sampling_ratio=integer(0, 64),
        pool_mode=choice('avg', 'max'),
        aligned=boolean,
        use_torchvision=choice(False)), ('type', 'output_size'))
EXTRACTORS = Listed(
    'MODELS', {
        'SingleRoIExtractor':
        Entry(
            dict(
                roi_layer=ROI_LAYER,
                out_channels=CHANNELS,
                featmap_strides=list_of(SIDE, 1, _MOST_LEVELS),
                finest_scale=_SIZE),
            ('roi_layer', 'out_channels', 'featmap_strides')),
    })
_ROI = ('bbox_roi_extractor', 'bbox_head')
_STAGES = 8
ROI_HEADS = Listed(
    'MODELS', {
        'StandardRoIHead':
        Entry(dict(bbox_roi_extractor=EXTRACTORS, bbox_head=BBOX_HEADS), _ROI),
        'CascadeRoIHead':
        Entry(
            dict(
                num_stages=integer(1, _STAGES),
                stage_loss_weights=list_of(number(), 1, _STAGES),
                bbox_roi_extractor=either(
                    list_of(EXTRACTORS, 1, _STAGES), EXTRACTORS),
                bbox_head=either(list_of(BBOX_HEADS, 1, _STAGES), BBOX_HEADS)),
            (*_ROI, 'num_stages', 'stage_loss_weights')),
    })

# --- normalisation ---------------------------------------------------------

PREPROCESSORS = Listed(
    'MODELS', {
        'DetDataPreprocessor':
        Entry(
            dict(
                mean=optional(list_of(number(), 1, 3)),
                std=optional(list_of(number(above=0), 1, 3)),
                pad_size_divisor=integer(1, 1024),
                pad_value=number(),
                pad_mask=boolean,
                mask_pad_value=integer(0, 255),
                pad_seg=boolean,
                seg_pad_value=integer(0, 255),
                bgr_to_rgb=boolean,
                rgb_to_bgr=boolean,
                boxtype2tensor=choice(True),
                non_blocking=boolean,
                batch_augments=nothing)),
    })

# what the arguments of a trusted class may contain
_FAMILIES = (LISTED_BACKBONES, _CONVOLUTIONS, _NORMS, _ACTIVATIONS, LOSSES,
             NECKS, ANCHORS, CODERS, DENSE_HEADS, PROPOSAL_HEADS, BBOX_HEADS,
             EXTRACTORS, ROI_HEADS, PREPROCESSORS)
_PARTS: Dict[str, Check] = {
    **{
        name: family
        for family in _FAMILIES
        for name in family.entries
    },
    **dict.fromkeys(_SUPPRESSIONS, suppression),
    'RoIAlign': ROI_LAYER,
}
