"""The channels of a detector's neck: computed or checked."""

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
    """The channels of a backbone's features: its neck's ``in_channels``.

    Args:
        backbone: a slimmable backbone or its config; at full width, unless it
            is one subnet.
    """
    network: Any = backbone
    if not isinstance(backbone, nn.Module):
        cfg = dict(backbone)
        cfg.pop('init_cfg', None)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            network = MODELS.build(cfg)
    with evaluating(network):
        features = network(blank(network, 64))
    return [level.shape[1] for level in features]


def check_detector(config: Config) -> None:
    """Fills in or checks ``model.neck.in_channels`` of a detector's config.

    Only if the backbone is slimmable and the neck takes a list of channels.
    They are filled in if they are missing or ``None``.

    Raises:
        InputError: if they differ from the channels of the backbone's features.
    """
    model = config.get('model') or {}
    backbone, neck = model.get('backbone') or {}, model.get('neck')
    if backbone.get('type') not in BACKBONES or not isinstance(neck, dict):
        return
    if 'GlobalAveragePooling' in neck.get('type', ''):
        return  # of a classifier
    found = feature_channels(backbone)
    given = neck.get('in_channels')
    if given is None:
        neck['in_channels'] = found
    elif isinstance(given, (list, tuple)) and list(given) != found:
        raise InputError(
            f'model.neck.in_channels={list(given)}: expected {found}, the '
            f'channels of the features of {backbone["type"]}' +
            (' as that subnet' if backbone.get('subnet') else ''))
