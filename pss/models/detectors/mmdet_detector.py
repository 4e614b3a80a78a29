"""What the classes that wrap mmdet's detectors share."""

from importlib.util import find_spec
from typing import Any, Dict, List, Optional, Sequence, Set

from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from torch import nn

from ...checks import shown
from ...errors import InputError
from ...registry import MODELS, parameters

_PREFIX = 'detector.'


def build_detector(detector: str, parts: Dict[str, Any]) -> BaseModel:
    """Builds one of mmdet's detectors.

    Args:
        detector: its type, such as ``mmdet.RetinaNet``.
        parts: the rest of its config.

    Raises:
        InputError: if MMDetection is not installed, or does not know the type.
    """
    if find_spec('mmdet') is None:
        raise InputError(f'detector={shown(detector)} needs MMDetection, which '
                         'is not installed; see docs/detection.md')
    if 'train_cfg' in parameters(find_detector(detector)):
        # two-stage detectors require it, though None will do; banks have none
        parts = dict(dict(train_cfg=None), **parts)
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(ConfigDict(type=detector, **parts))
    for name in ('backbone', 'extract_feat', 'loss', 'predict'):
        if not hasattr(built, name):
            raise InputError(f'detector={detector!r} has no {name}; expected '
                             "one of mmdet's detectors with a backbone")
    head = getattr(built, 'bbox_head', None)
    if head is not None and not hasattr(head, 'loss_cls'):
        # mmdet 3.3.0 needs it of every head to predict, but SSDHead has none:
        # without this, SSD can only train
        head.loss_cls = None
    return built


def detector_keys(wrapper: type, cfg: Dict[str, Any]) -> Set[str]:
    """The keys that the config of a class around a detector may have.

    Args:
        wrapper: the class; it passes other keys on to the detector.
        cfg: the config, which names the detector.
    """
    keys = parameters(wrapper)
    kind = cfg.get('detector')
    if isinstance(kind, str) and find_spec('mmdet') is not None:
        return keys | parameters(find_detector(kind))
    return keys | set(cfg)


def find_detector(kind: str) -> type:
    """The class of a detector.

    Raises:
        InputError: if mmdet does not register it.
    """
    with DefaultScope.overwrite_default_scope('mmdet'):
        found = MODELS.get(kind)
    if found is None:
        raise InputError(f'detector={shown(kind)} is not registered; expected '
                         "the type of one of mmdet's detectors")
    return found


def keep_predictions(results: Sequence, samples: Optional[Sequence]) -> List:
    """Data samples with the predictions that their copies got."""
    if samples is None:
        return list(results)
    for sample, result in zip(samples, results):
        if sample is not result:
            sample.pred_instances = result.pred_instances
    return list(samples)


def hide_prefix(model: nn.Module) -> None:
    """Makes a model around ``model.detector`` save and load that detector's
    state: with mmdet's keys, checkpoints load in both directions."""
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
