"""What the classes around mmdet's detectors share."""

from importlib.util import find_spec
from typing import Any, Dict, List, Optional, Sequence, Set

from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from torch import nn

from ...errors import InputError
from ...registry import MODELS, parameters
from ..layers import SlimmableBatchNorm2d, SlimmableConv2d

_PREFIX = 'detector.'


def build_detector(detector: str, parts: Dict[str, Any]) -> nn.Module:
    """Builds one of mmdet's detectors.

    Args:
        detector: its type, such as ``mmdet.RetinaNet``.
        parts: the rest of its config.

    Raises:
        InputError: if MMDetection is not there, or it is no such type.
    """
    if find_spec('mmdet') is None:
        raise InputError(f'detector={detector!r} needs MMDetection, which is '
                         'not installed; see docs/detection.md')
    if 'train_cfg' in parameters(find_detector(detector)):
        # two-stage detectors insist on it, though None will do: banks lack it
        parts = dict(dict(train_cfg=None), **parts)
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(ConfigDict(type=detector, **parts))
    for name in ('backbone', 'extract_feat', 'loss', 'predict'):
        if not hasattr(built, name):
            raise InputError(f'detector={detector!r} has no {name}; expected '
                             "mmdet's detectors with a backbone")
    head = getattr(built, 'bbox_head', None)
    if head is not None and not hasattr(head, 'loss_cls'):
        # mmdet 3.3.0 asks every head for it when it predicts, but SSDHead has
        # none: without this SSD only trains
        head.loss_cls = None
    return built


def detector_keys(wrapper: type, cfg: Dict[str, Any]) -> Set[str]:
    """Keys of the config of a class around a detector.

    Args:
        wrapper: the class; it passes on what it does not take itself.
        cfg: the config, which names the detector.
    """
    keys = parameters(wrapper.__init__) | {'data_preprocessor'}
    kind = cfg.get('detector')
    if isinstance(kind, str) and find_spec('mmdet') is not None:
        return keys | parameters(find_detector(kind))
    return keys | set(cfg)


def find_detector(kind: str) -> type:
    """The class of a detector.

    Raises:
        InputError: if mmdet registers no such type.
    """
    with DefaultScope.overwrite_default_scope('mmdet'):
        found = MODELS.get(kind)
    if found is None:
        raise InputError(f'detector={kind!r} is no type that mmdet registers')
    return found


def keep_predictions(results: Sequence, samples: Optional[Sequence]) -> List:
    """Data samples with the predictions that copies of them got."""
    if samples is None:
        return list(results)
    for sample, result in zip(samples, results):
        if sample is not result:
            sample.pred_instances = result.pred_instances
    return list(samples)


def hide_prefix(model: nn.Module) -> None:
    """Gives a model around ``model.detector`` that detector's own state.

    Its keys are then mmdet's, and checkpoints load in both directions.
    """
    model._register_state_dict_hook(_without_prefix)
    model._register_load_state_dict_pre_hook(_with_prefix, with_module=True)


def _without_prefix(model: nn.Module, state: Dict[str, Any], prefix: str, *args:
                    Any) -> None:
    start = f'{prefix}{_PREFIX}'
    for key in list(state):
        if key.startswith(start):
            state[f'{prefix}{key[len(start):]}'] = state.pop(key)


def _with_prefix(model: nn.Module, state: Dict[str, Any], prefix: str, *args:
                 Any) -> None:
    for key in list(state):
        if key.startswith(prefix) and \
                not key.startswith(f'{prefix}{_PREFIX}'):
            state[f'{prefix}{_PREFIX}{key[len(prefix):]}'] = state.pop(key)


def make_slimmable(part: nn.Module, convs: bool = True) -> None:
    """Exchanges a neck's or head's layers for ones that take narrow features.

    Args:
        part: the neck or head; its parameters stay.
        convs: whether convolutions too, besides batch norms: these need
            statistics for each subnet even where their width is fixed.
    """
    for module in part.modules():
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(
                    module, name,
                    _like(
                        SlimmableBatchNorm2d(child.num_features, child.eps,
                                             child.momentum, child.affine,
                                             child.track_running_stats), child))
            elif convs and type(child) is nn.Conv2d:
                setattr(
                    module, name,
                    _like(
                        SlimmableConv2d(child.in_channels, child.out_channels,
                                        child.kernel_size, child.stride,
                                        child.padding, child.dilation,
                                        child.groups, child.bias is not None,
                                        child.padding_mode), child))


def _like(layer: nn.Module, other: nn.Module) -> nn.Module:
    """A layer with another one's parameters, buffers and mode."""
    for name, value in other.named_parameters(recurse=False):
        setattr(layer, name, value)
    for name, value in other.named_buffers(recurse=False):
        setattr(layer, name, value)
    return layer.train(other.training)
