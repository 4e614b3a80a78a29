"""Channels of detectors' necks: worked out, or checked."""

from typing import Any, Dict, List, Union

from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from ..errors import InputError
from ..registry import MODELS
from ..supernet import blank, evaluating

BACKBONES = ('pss.SlimmableMobileNetV1', 'pss.SlimmableMobileNetV2',
             'pss.SlimmableResNet')


def feature_channels(backbone: Union[nn.Module, Dict[str, Any]]) -> List[int]:
    """How many channels a backbone's features have: a neck's ``in_channels``.

    Args:
        backbone: one of ours, or its config: at full width, unless it is one
            subnet.
    """
    if not isinstance(backbone, nn.Module):
        cfg = dict(backbone)
        cfg.pop('init_cfg', None)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            backbone = MODELS.build(cfg)
    with evaluating(backbone):
        features = backbone(blank(backbone, 64))
    return [level.shape[1] for level in features]


def check_detector(config: Config) -> None:
    """Fills in or checks the channels that a detector's neck takes.

    Only where the backbone is one of ours and the neck lists its
    ``in_channels``; they are worked out where they are missing or ``None``.

    Raises:
        InputError: if they are others than the backbone's features have.
    """
    model = config.get('model') or {}
    backbone, neck = model.get('backbone') or {}, model.get('neck')
    if backbone.get('type') not in BACKBONES or not isinstance(neck, dict):
        return
    if 'GlobalAveragePooling' in neck.get('type', ''):
        return  # a classifier's
    found = feature_channels(backbone)
    given = neck.get('in_channels')
    if given is None:
        neck['in_channels'] = found
    elif isinstance(given, (list, tuple)) and list(given) != found:
        raise InputError(
            f'model.neck.in_channels={list(given)}: expected {found}, the '
            f'channels of the features that {backbone["type"]} gives' +
            (' as that subnet' if backbone.get('subnet') else ''))
