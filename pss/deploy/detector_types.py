"""The types that the bank of a detector may name.

As :func:`.check_types` for classifiers: MMEngine takes a type that no registry
has for the path of something to import, mmcv evaluates the name of a
non-maximum suppression, and some of mmdet's detectors load files of their own.
"""

from importlib.util import find_spec
from typing import Any

from ..errors import InputError
from ..registry import check_registered

WRAPPERS = ('pss.SupernetDetector', 'pss.ResizedDetector')
_DETECTORS = tuple(f'mmdet.models.detectors.{name}' for name in (
    'atss', 'cascade_rcnn', 'faster_rcnn', 'fcos', 'fovea', 'gfl', 'paa',
    'retinanet', 'rtmdet', 'single_stage', 'tood', 'two_stage', 'vfnet'))
_PARTS = tuple(f'mmdet.models.{name}' for name in (
    'data_preprocessors', 'dense_heads', 'layers', 'losses', 'necks',
    'roi_heads')) + ('pss.models', 'mmcv.cnn', 'mmengine.model', 'torch.nn')
_TASKS = ('mmdet.models.task_modules', )
# what mmcv looks up in its own operators
_OPERATORS = ('nms', 'soft_nms', 'RoIAlign', 'RoIPool')
_TRANSFORMS = ('mmdet.datasets.transforms', 'mmcv.transforms')


def is_detector(model: Any) -> bool:
    """Whether the config of a model is a detector's."""
    return isinstance(model, dict) and model.get('type') in WRAPPERS


def check_detector_types(model: dict, pipeline: Any, where: str) -> None:
    """Refuses configs that name anything but detectors and transforms.

    Args:
        model, pipeline: the configs.
        where: they stand, for the message.

    Raises:
        InputError: it names the field and the type; and if MMDetection is not
            installed.
    """
    if find_spec('mmdet') is None:
        raise InputError(f'{where}: a detector, which needs MMDetection; it '
                         'is not installed, see docs/detection.md')
    from mmdet.registry import MODELS, TASK_UTILS, TRANSFORMS
    from mmdet.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    parts = dict(model)
    detector = parts.pop('detector', None)
    check_registered(dict(type=detector), MODELS, _DETECTORS,
                     f'{where}: model.detector')
    check_registered(parts, MODELS, _PARTS, f'{where}: model',
                     others=((TASK_UTILS, _TASKS), ), names=_OPERATORS)
    check_registered(pipeline, TRANSFORMS, _TRANSFORMS, f'{where}: pipeline')
