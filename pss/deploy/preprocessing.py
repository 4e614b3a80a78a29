"""From image files, arrays and tensors to what networks take."""

from pathlib import Path
from typing import Any, Iterator, List, Sequence, Tuple, Union

import numpy as np
import torch
from mmcv.image import imread
from mmengine.dataset import Compose
from mmpretrain.datasets import remove_transform
from mmpretrain.registry import TRANSFORMS
from torch import Tensor

from ..errors import InputError
from ..models import SupernetClassifier
from .bank import Bank

Image = Union[str, Path, np.ndarray, Tensor]


class Preprocessing:
    """A bank's preprocessing: its transforms, then its model's normalisation.

    Images are loaded as mmpretrain's inferencer loads them.

    Args:
        bank: says the transforms.
        model: its supernet; says the normalisation, and the device.

    Raises:
        InputError: if the transforms cannot be built.
    """

    def __init__(self, bank: Bank, model: SupernetClassifier) -> None:
        self.input_shape = bank.input_shape
        self._normalise = model.data_preprocessor
        # loading is done here, since not every image is a file
        steps = remove_transform(bank.pipeline, 'LoadImageFromFile')
        try:
            self._pipeline = Compose([TRANSFORMS.build(s) for s in steps])
        except Exception as error:  # whatever a wrong config makes a type raise
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError('bank: preprocessing.pipeline cannot be built '
                             f'({first})') from None
        # Pillow resizes integers only
        self._type = np.uint8 if any(
            step.get('backend') == 'pillow' for step in steps) else None

    def load(self, images: Union[Image, Sequence[Image]]) -> List[Tensor]:
        """Images as the transforms give them, each ``(C, H, W)``.

        Args:
            images: see :meth:`.AdaptiveClassifier.predict`.

        Raises:
            InputError: for a file that is no image, and an image of another
                shape or type.
        """
        return [self._one(image, where) for image, where in _each(images)]

    def batch(self, loaded: Sequence[Tensor]) -> Tensor:
        """Loaded images as networks take them, ``(N, C, H, W)``.

        Raises:
            InputError: if they have another number of channels.
        """
        batch = self._normalise(dict(inputs=torch.stack(list(loaded))),
                                False)['inputs']
        if tuple(batch.shape[1:]) != self.input_shape:
            raise InputError(f'images: {tuple(batch.shape[1:])} after '
                             'preprocessing (channels, height, width); legal '
                             f'is {self.input_shape}')
        return batch

    def _one(self, image: Any, where: str) -> Tensor:
        """An image as the pipeline gives it, ``(C, H, W)``."""
        if isinstance(image, (str, Path)):
            where = str(image)
            pixels = _read(where, grey=self.input_shape[0] == 1)
        else:
            pixels = _pixels(image, where)
            if self._type is not None and pixels.dtype != self._type:
                pixels = np.rint(pixels).astype(self._type)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        if channels not in (1, self.input_shape[0]) or 0 in pixels.shape:
            raise InputError(f'{where}: shape {pixels.shape} (height, width, '
                             f'channels); legal are {self.input_shape[0]} '
                             'channels, or grey')
        if pixels.ndim == 2 or channels != self.input_shape[0]:
            pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1),
                               self.input_shape[0], axis=2)
        loaded = self._pipeline(dict(
            img=pixels, img_shape=pixels.shape[:2],
            ori_shape=pixels.shape[:2]))['inputs']
        if tuple(loaded.shape[-2:]) != self.input_shape[1:]:
            raise InputError(
                f'{where}: {pixels.shape[0]} x {pixels.shape[1]} pixels (height'
                f' x width) become {loaded.shape[-2]} x {loaded.shape[-1]} in '
                f'preprocessing; legal is {self.input_shape[1]} x '
                f'{self.input_shape[2]}')
        return loaded


def _each(images: Any) -> Iterator[Tuple[Any, str]]:
    """Single images, and what to call them in messages."""
    several = isinstance(images, (list, tuple)) or \
        isinstance(images, (np.ndarray, Tensor)) and images.ndim == 4
    if several:
        for i, image in enumerate(images):
            yield image, f'images[{i}]'
    else:
        yield images, 'images'


def _read(path: str, grey: bool) -> np.ndarray:
    """The pixels of an image file, BGR or grey."""
    if not Path(path).is_file():
        raise InputError(f'{path}: no such file')
    try:
        pixels = imread(path, 'grayscale' if grey else 'color')
    except Exception as error:  # the decoder's own
        raise InputError(f'{path}: cannot be read ({error})') from None
    if pixels is None:
        raise InputError(f'{path}: not an image file')
    return pixels


def _pixels(image: Any, where: str) -> np.ndarray:
    """An array or a tensor as an array ``(H, W)`` or ``(H, W, C)``."""
    if isinstance(image, Tensor):
        if image.dim() != 3:
            raise InputError(f'{where}: a tensor of shape '
                             f'{tuple(image.shape)}; legal are (C, H, W) and '
                             '(N, C, H, W)')
        if image.dtype == torch.bfloat16:
            image = image.float()
        image = image.detach().permute(1, 2, 0).cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise InputError(f'{where}: {type(image).__name__} is not an image; '
                         'legal are paths, arrays and tensors')
    if image.ndim not in (2, 3):
        raise InputError(f'{where}: an array of shape {image.shape}; legal are '
                         '(H, W), (H, W, C) and (N, H, W, C)')
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if image.dtype.kind not in 'uif':
        raise InputError(f'{where}: type {image.dtype}; legal are numbers from '
                         '0 to 255')
    if image.size and not (image.min() >= 0 and image.max() <= 255):
        raise InputError(f'{where}: values from {image.min():g} to '
                         f'{image.max():g}; legal are 0 to 255, as in image '
                         'files')
    return np.ascontiguousarray(image, dtype=np.float32)
