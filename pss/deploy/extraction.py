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
from ..models.detectors import SupernetDetector
from ..models.narrowing import narrow
from ..registry import MODELS
from ..structures import Subnet
from ..supernet import blank, evaluating

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
    if isinstance(model, SupernetDetector):
        return extracted_detector_config(config, model, subnet)
    config = ConfigDict(copy.deepcopy(dict(config)))
    space = model.search_space
    config.pop('channels_last', None)
    config.type = 'mmpretrain.ImageClassifier'
    if subnet.resolution != space.largest.resolution:
        config.type = 'pss.ResizedClassifier'
        config.resolution = subnet.resolution
    fix_backbone(config.backbone, model.backbone, subnet)
    return config


def fix_backbone(config: ConfigDict, backbone: nn.Module,
                 subnet: Subnet) -> None:
    """Makes the config of a slimmable backbone one subnet's, in place."""
    full = all(drive.conv.out_channels == subnet.widths[drive.width] *
               drive.factor for drive in backbone.drives)
    plain = PLAIN_BACKBONES.get(config.type)
    if full and plain and not config.get('strides'):
        config.type = plain
        config.pop('search_space', None)
        config.pop('strides', None)
    else:
        config.subnet = subnet.as_dict()


def extracted_detector_config(config: Dict[str, Any], model: SupernetDetector,
                              subnet: Subnet) -> ConfigDict:
    """The config of the plain detector of a subnet.

    It is mmdet's own, unless the subnet's resolution is not the largest: then
    it resizes images as the supernet does. (SSD too is left in our class, in
    which it predicts with mmdet 3.3.0.) Neck and heads get the channels
    that the subnet's features have.

    Args:
        config: the supernet's ``model`` config.
        model: the supernet built from it.
        subnet: a subnet of it.
    """
    config = ConfigDict(copy.deepcopy(dict(config)))
    for key in ('input_size', 'distillation', 'channels_last'):
        config.pop(key, None)
    largest = model.search_space.largest.resolution
    head = str((config.get('bbox_head') or {}).get('type'))
    if subnet.resolution == largest and not head.endswith('SSDHead'):
        config.type = config.pop('detector')
    else:
        config.type = 'pss.ResizedDetector'
        config.scale = subnet.resolution / largest
    config.backbone.pop('init_cfg', None)
    fix_backbone(config.backbone, model.backbone, subnet)

    active = model.active_subnet
    model.switch_to(subnet)
    images = blank(model, subnet.resolution)
    with evaluating(model):
        inputs, outputs = ([level.shape[1] for level in levels]
                           for levels in (model.backbone(images),
                                          model.detector.extract_feat(images)))
    model.switch_to(active)
    neck = config.get('neck') or {}
    if isinstance(neck.get('in_channels'), (list, tuple)):
        neck.in_channels = inputs
    if isinstance(neck.get('out_channels'), (list, tuple)):
        neck.out_channels = outputs
    for name in ('bbox_head', 'rpn_head'):
        head = config.get(name) or {}
        if isinstance(head.get('in_channels'), (list, tuple)):
            head.in_channels = outputs
        elif 'in_channels' in head:
            head.in_channels = outputs[0]
    return config


def extract(model: nn.Module,
            config: Dict[str, Any],
            subnet: Subnet,
            statistics: Optional[Statistics] = None) -> nn.Module:
    """The plain network of a subnet: no slimmable layer, nothing shared.

    Args:
        model: the supernet, a classifier or a detector; it stays as it is.
        config: see :func:`extracted_config`; changed in place where the head of
            a classifier has narrower features.
        subnet: what to extract.
        statistics: its batch-norm statistics, see :func:`.calibrate`; the
            running ones without.

    Returns:
        The network that ``config`` builds, with the subnet's weights, in
        evaluation mode.
    """
    narrowed = copy.deepcopy(model)
    narrowed.switch_to(subnet, statistics)
    detector = isinstance(model, SupernetDetector)
    narrow(
        narrowed,
        blank(narrowed, subnet.resolution),
        run=narrowed.run_norms if detector else None)
    state = narrowed.state_dict()
    if 'in_channels' in config.get('head', {}):
        config['head']['in_channels'] = _features(narrowed)
    with DefaultScope.overwrite_default_scope(
            'mmdet' if detector else 'mmpretrain'):
        plain = MODELS.build(config)
    plain.load_state_dict(state, strict=True)
    # weights in the model's layout: convolutions then run as the model's do
    return plain.to(memory_format=model.memory_format).eval()


def _features(model: nn.Module) -> int:
    """Features that the first linear layer of the head takes."""
    return next(module.in_features for module in model.head.modules()
                if isinstance(module, nn.Linear))
