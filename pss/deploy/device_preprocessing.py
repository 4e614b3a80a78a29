"""The preprocessing of a bank, as programs without PyTorch reproduce it."""

from typing import Any, Dict, List, Mapping, Sequence

from ..checks import shown
from ..errors import InputError
from .bank import Bank
from .vocabularies.steps import BACKENDS, class_name

# How OpenCV interpolates is known exactly only here.
REPRODUCED: Mapping[str, Sequence[str]] = dict(
    cv2=('bilinear', ), pillow=BACKENDS['pillow'])


def device_preprocessing(bank: Bank) -> Dict[str, Any]:
    """A classifier's preprocessing with every argument given.

    Returns:
        ``steps``, and the normalisation ``to_rgb``, ``mean`` and ``std``, see
        :class:`pss.runtime.preprocessing.Preprocessing`.

    Raises:
        InputError: for a step that a device cannot reproduce.
    """
    normalisation = bank.model.get('data_preprocessor') or {}
    channels = bank.input_shape[0]
    divisor = normalisation.get('pad_size_divisor', 1)
    if any(side % divisor for side in bank.input_shape[1:]):
        raise InputError(
            f'bank: data_preprocessor.pad_size_divisor={divisor}: expected a '
            f'divisor of the sides {list(bank.input_shape[1:])}: padding is '
            'not possible on a device')
    mean, std = (channels * [default] if normalisation.get(key) is None else
                 [float(value) for value in normalisation[key]]
                 for key, default in (('mean', 0.), ('std', 1.)))
    return dict(
        steps=[
            step for i, config in enumerate(bank.pipeline)
            for step in _step(config, f'bank: pipeline[{i}]')
        ],
        to_rgb=bool(normalisation.get('to_rgb', False)) and channels == 3,
        mean=mean * (channels // len(mean)),
        std=std * (channels // len(std)))


def _step(config: Dict[str, Any], where: str) -> List[Dict[str, Any]]:
    kind = class_name(config)
    if kind in ('LoadImageFromFile', 'PackInputs'):
        return []  # what every device does
    if kind == 'CenterCrop':
        return [dict(type=kind, crop_size=_pair(config['crop_size']))]
    if kind not in ('Resize', 'ResizeEdge'):
        raise InputError(f'{where}.type={shown(config.get("type"))}: not '
                         'possible on a device; expected Resize, ResizeEdge '
                         'and CenterCrop')
    backend = config.get('backend', 'cv2')
    method = config.get('interpolation', 'bilinear')
    if method not in REPRODUCED[backend]:
        raise InputError(f'{where}.interpolation={method!r}: not possible on a '
                         f'device with backend={backend!r}; expected one of '
                         f'{list(REPRODUCED[backend])}')
    step = dict(type=kind, backend=backend, interpolation=method)
    if kind == 'Resize':
        return [
            dict(
                step,
                scale=_pair(config['scale']),
                keep_ratio=config.get('keep_ratio', False))
        ]
    return [dict(step, scale=config['scale'], edge=config.get('edge', 'short'))]


def _pair(sides: Any) -> List[int]:
    """Two sides, from one or two."""
    return [sides, sides] if isinstance(sides, int) else list(sides)
