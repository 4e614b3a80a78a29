"""A subnet as a plain network of its own."""

import copy
from typing import Any, Dict, Optional

from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import nn

from ..models.classifiers.supernet_classifier import (
    Statistics,
    SupernetClassifier,
)
from ..models.narrowing import narrow
from ..registry import MODELS
from ..resources.layers import blank
from ..structures import Subnet

# The classes that compute the same as a backbone of ours at full width.
PLAIN_BACKBONES = {
    'pss.SlimmableMobileNetV2': 'mmpretrain.MobileNetV2',
    'pss.SlimmableResNet': 'mmpretrain.ResNet',
}


def model_config(config: Config) -> ConfigDict:
    """The model's part of a config, preprocessing included as Runner does."""
    model = copy.deepcopy(config.model)
    if config.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', config.data_preprocessor)
    return model


def extracted_config(config: Dict[str, Any], model: SupernetClassifier,
                     subnet: Subnet) -> ConfigDict:
    """The config of the plain network of a subnet.

    It is made of mmpretrain's own classes where the widths allow it. It resizes
    images as the supernet does, unless the subnet's resolution is the largest,
    which data pipelines deliver.

    Args:
        config: the supernet's ``model`` config.
        model: the supernet built from it.
        subnet: a subnet of it.
    """
    config = ConfigDict(copy.deepcopy(dict(config)))
    space = model.search_space
    config.pop('channels_last', None)
    config.type = 'mmpretrain.ImageClassifier'
    if subnet.resolution != space.largest.resolution:
        config.type = 'pss.ResizedClassifier'
        config.resolution = subnet.resolution
    backbone = config.backbone
    full = all(drive.conv.out_channels == subnet.widths[drive.width]
               * drive.factor for drive in model.backbone.drives)
    plain = PLAIN_BACKBONES.get(backbone.type)
    if full and plain and not backbone.get('strides'):
        backbone.type = plain
        backbone.pop('search_space', None)
        backbone.pop('strides', None)
    else:
        backbone.subnet = subnet.as_dict()
    return config


def extract(model: SupernetClassifier, config: Dict[str, Any], subnet: Subnet,
            statistics: Optional[Statistics] = None) -> nn.Module:
    """The plain network of a subnet: no slimmable layer, nothing shared.

    Args:
        model: the supernet; it stays as it is.
        config: its config; becomes the extracted network's, in place, where
            the head has narrower features.
        subnet: what to extract.
        statistics: its batch-norm statistics, see :func:`.calibrate`; the
            running ones without.

    Returns:
        The network that ``config`` builds, with the subnet's weights, in
        evaluation mode.
    """
    narrowed = copy.deepcopy(model)
    narrowed.switch_to(subnet, statistics)
    narrow(narrowed, blank(narrowed, subnet.resolution))
    state = narrowed.state_dict()
    if 'in_channels' in config['head']:
        config['head']['in_channels'] = _features(narrowed)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        plain = MODELS.build(config)
    plain.load_state_dict(state, strict=True)
    # weights in the model's layout: convolutions then run as the model's do
    return plain.to(memory_format=model.memory_format).eval()


def _features(model: nn.Module) -> int:
    """Features that the first linear layer of the head takes."""
    return next(module.in_features for module in model.head.modules()
                if isinstance(module, nn.Linear))
