"""From image files and arrays to the input of detectors."""

from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
from mmengine.registry import DefaultScope

from ..errors import InputError, first_line
from ..registry import importing_nothing
from .vocabularies.steps import class_name


class DetectorPreprocessing:
    """A bank's preprocessing for MMDetection: its transforms.

    Args:
        pipeline: their configs.
        channels: how many the model's images have.

    Raises:
        InputError: if the transforms cannot be built.
    """

    def __init__(self, pipeline: List[Dict[str, Any]], channels: int) -> None:
        self._steps = build_steps(pipeline)
        self._channels = channels

    def load(self, image: Any, number: int, where: str) -> Dict[str, Any]:
        """Loads an image and applies the transforms.

        Args:
            image: a path or an array, see :meth:`.AdaptiveDetector.predict`.
            number: the image's, for its data sample.
            where: its name, for messages.

        Returns:
            ``inputs`` ``(C, H, W)`` and ``data_samples``.

        Raises:
            InputError: for a file that is not an image, and for an image of
                another shape or type.
        """
        if isinstance(image, (str, Path)):
            where = str(image)
            if not Path(image).is_file():
                raise InputError(f'{where}: no such file')
            results = _attempt(self._steps['file'], dict(img_path=where),
                               f'{where}: cannot be read as an image')
        elif isinstance(image, np.ndarray):
            results = self._steps['array'](dict(img=self._pixels(image, where)))
        else:
            raise InputError(f'{where}: {type(image).__name__} is not an '
                             'image; expected a path or an array')
        shape = results['img'].shape
        packed = _attempt(
            self._steps['rest'], dict(results, img_id=number),
            f'{where}: shape {shape} (height, width, channels) '
            'cannot be preprocessed')
        channels = packed['inputs'].shape[0]
        if channels != self._channels:
            raise InputError(f'{where}: {channels} channels after '
                             f'preprocessing: expected '
                             f'{self._channels}')
        return packed

    def _pixels(self, image: np.ndarray, where: str) -> np.ndarray:
        """An array with the model's channels and values as in image files."""
        channels = image.shape[2] if image.ndim == 3 else 1
        wanted = self._channels
        if image.ndim not in (2, 3) or 0 in image.shape or \
                channels not in (1, wanted):
            raise InputError(f'{where}: an array of shape {image.shape}: '
                             f'expected (H, W, {wanted}), or (H, W) for grey')
        if image.dtype.kind not in 'uif':
            raise InputError(f'{where}: an array of type {image.dtype}: '
                             'expected numbers from 0 to 255')
        if not (image.min() >= 0 and image.max() <= 255):
            raise InputError(f'{where}: values from {image.min():g} to '
                             f'{image.max():g}: expected 0 to 255, as in '
                             'image files')
        if image.dtype != np.uint8:
            image = image.astype(np.float32)
        if image.ndim == 2 or channels != wanted:
            image = np.repeat(image.reshape(*image.shape[:2], 1), wanted, 2)
        return np.ascontiguousarray(image)


def _attempt(steps: Callable[[Dict[str, Any]], Any], results: Dict[str, Any],
             message: str) -> Dict[str, Any]:
    """Runs steps; whatever they or the libraries that they call raise becomes
    one error with this message."""
    try:
        found = steps(results)
    except Exception as error:
        raise InputError(f'{message} ({first_line(error)})') from None
    if found is None:  # how steps drop an image
        raise InputError(message)
    return found


def build_steps(pipeline: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Builds a bank's transforms: the first for files, the first for arrays,
    and the rest for both; none loads annotations.

    Raises:
        InputError: if one cannot be built.
    """
    from mmdet.registry import TRANSFORMS
    from mmengine.dataset import Compose
    first, *rest = (
        step for step in pipeline if class_name(step) != 'LoadAnnotations')
    configs = {
        'file': [first],
        'array': [dict(type='LoadImageFromNDArray')],
        'rest': rest
    }
    try:
        with DefaultScope.overwrite_default_scope('mmdet'), \
                importing_nothing():
            return {
                name:
                Compose([TRANSFORMS.build(_tuples(step)) for step in steps])
                for name, steps in configs.items()
            }
    except Exception as error:  # classes raise anything for a wrong config
        raise InputError('bank: preprocessing.pipeline cannot be built '
                         f'({first_line(error)})') from None


def _tuples(value: Any) -> Any:
    """A transform's config with tuples for lists: a bank has lists only, and
    some transforms insist on tuples."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_tuples(item) for item in value]
        return items if any(isinstance(item, dict) for item in items) \
            else tuple(items)
    return value
