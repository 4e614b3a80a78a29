"""Extracting a subnet as a plain network."""

import copy
from typing import Any, Dict, Optional, Sequence, Union

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

# mmpretrain's classes that compute the same as a backbone at full width.
PLAIN_BACKBONES = {
    'pss.SlimmableMobileNetV2': 'mmpretrain.MobileNetV2',
    'pss.SlimmableResNet': 'mmpretrain.ResNet',
}

Supernet = Union[SupernetClassifier, SupernetDetector]


def model_config(config: Config) -> ConfigDict:
    """The ``model`` of a config, to run it; as in MMEngine's Runner, a
    ``data_preprocessor`` beside it is moved into it. That is mmpretrain's own,
    if it differs only in training."""
    model = copy.deepcopy(config.model)
    if config.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor',
                         copy.deepcopy(config.data_preprocessor))
    preprocessor = model.get('data_preprocessor') or {}
    if preprocessor.get('type') == 'pss.AugmentingPreprocessor':
        del preprocessor['type']  # a classifier's default
    return model


def extracted_config(config: Dict[str, Any],
                     model: Supernet,
                     subnet: Subnet,
                     image_size: Optional[Sequence[int]] = None) -> ConfigDict:
    """The config of a subnet's plain network.

    It names mmpretrain's own classes where the widths allow it. The network
    resizes images as the supernet does, unless they have the subnet's
    resolution.

    Args:
        config: the supernet's ``model`` config.
        model: the supernet built from it, a classifier or a detector.
        subnet: a subnet of it.
        image_size: height and width of the images that data pipelines deliver;
            by default the largest resolution. Detectors do without.
    """
    if isinstance(model, SupernetDetector):
        return extracted_detector_config(config, model, subnet)
    extracted = ConfigDict(copy.deepcopy(dict(config)))
    for key in ('distillation', 'channels_last'):
        extracted.pop(key, None)
    extracted.type = 'mmpretrain.ImageClassifier'
    largest = model.search_space.largest.resolution
    if {subnet.resolution} != {*(image_size or [largest])}:
        extracted.type = 'pss.ResizedClassifier'
        extracted.resolution = subnet.resolution
    fix_backbone(extracted.backbone, model.backbone, subnet)
    return extracted


def fix_backbone(config: ConfigDict, backbone: Any, subnet: Subnet) -> None:
    """Turns the config of a slimmable backbone into that of one subnet, in
    place.

    Args:
        config: the backbone's.
        backbone: the one built from it.
        subnet: a subnet of it.
    """
    full = all(drive.out_channels == subnet.widths[drive.width] * drive.factor
               for drive in backbone.drives)
    plain = PLAIN_BACKBONES.get(config.type)
    if full and plain and not config.get('strides'):
        config.type = plain
        config.pop('search_space', None)
        config.pop('strides', None)
    else:
        config.subnet = subnet.as_dict()


def extracted_detector_config(config: Dict[str, Any], model: SupernetDetector,
                              subnet: Subnet) -> ConfigDict:
    """The config of a subnet's plain detector.

    At the largest resolution it is mmdet's own class; at any other, a wrapper
    that resizes images as the supernet does. (SSD always keeps the wrapper,
    which makes it predict with mmdet 3.3.0.) Neck and heads get the channels of
    the subnet's features.

    Args:
        config: the supernet's ``model`` config.
        model: the supernet built from it.
        subnet: a subnet of it.
    """
    extracted = ConfigDict(copy.deepcopy(dict(config)))
    for key in ('input_size', 'distillation', 'channels_last'):
        extracted.pop(key, None)
    largest = model.search_space.largest.resolution
    head = str((extracted.get('bbox_head') or {}).get('type'))
    if subnet.resolution == largest and not head.endswith('SSDHead'):
        extracted.type = extracted.pop('detector')
    else:
        extracted.type = 'pss.ResizedDetector'
        extracted.scale = subnet.resolution / largest
    extracted.backbone.pop('init_cfg', None)
    fix_backbone(extracted.backbone, model.backbone, subnet)
    _fix_channels(extracted, model, subnet)
    return extracted


def _fix_channels(config: ConfigDict, model: SupernetDetector,
                  subnet: Subnet) -> None:
    """Sets the channels of the neck and heads in a config to those of a
    subnet's features, in place."""
    active = model.active_subnet
    model.switch_to(subnet)
    images = blank(model, subnet.resolution)
    detector: Any = model.detector
    with evaluating(model):
        inputs, outputs = ([level.shape[1] for level in levels]
                           for levels in (model.backbone(images),
                                          detector.extract_feat(images)))
    model.switch_to(active)
    neck = config.get('neck') or {}
    if isinstance(neck.get('in_channels'), (list, tuple)):
        neck['in_channels'] = inputs
    if isinstance(neck.get('out_channels'), (list, tuple)):
        neck['out_channels'] = outputs
    for name in ('bbox_head', 'rpn_head'):
        head = config.get(name) or {}
        if isinstance(head.get('in_channels'), (list, tuple)):
            head['in_channels'] = outputs
        elif 'in_channels' in head:
            head['in_channels'] = outputs[0]


def extract(model: Supernet,
            config: Dict[str, Any],
            subnet: Subnet,
            statistics: Optional[Statistics] = None) -> nn.Module:
    """The plain network of a subnet, without slimmable layers or shared
    weights.

    Args:
        model: the supernet, a classifier or a detector; left unchanged.
        config: from :func:`extracted_config`; it is changed in place if the
            head of a classifier gets narrower features.
        subnet: the subnet to extract.
        statistics: its batch-norm statistics, see :func:`.calibrate`; by
            default, the running ones.

    Returns:
        The network that ``config`` builds, with the subnet's weights, in
        evaluation mode.
    """
    narrowed = copy.deepcopy(model)
    narrowed.switch_to(subnet, statistics)
    narrow(
        narrowed,
        blank(narrowed, subnet.resolution),
        run=narrowed.run_norms
        if isinstance(narrowed, SupernetDetector) else None)
    state = narrowed.state_dict()
    if 'in_channels' in config.get('head', {}):
        config['head']['in_channels'] = _features(narrowed)
    with DefaultScope.overwrite_default_scope(
            'mmdet' if isinstance(model, SupernetDetector) else 'mmpretrain'):
        plain = MODELS.build(config)
    plain.load_state_dict(state, strict=True)
    # with the model's memory layout, convolutions run as the model's do
    return plain.to(memory_format=model.memory_format).eval()


def _features(model: Any) -> int:
    """The number of features that the first linear layer of the head takes."""
    return next(module.in_features for module in model.head.modules()
                if isinstance(module, nn.Linear))
