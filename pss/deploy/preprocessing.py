"""From image files, arrays and tensors to what networks take."""

import io
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator, List, Sequence, Tuple, Union

import numpy as np
import torch
from mmcv.image import imfrombytes
from mmengine.dataset import Compose
from mmpretrain.datasets import remove_transform
from mmpretrain.registry import TRANSFORMS
from PIL import Image as Pillow
from torch import Tensor

from ..datasets.checked import is_cut_off
from ..errors import InputError
from ..files import read_regular
from ..models import SupernetClassifier
from ..registry import importing_nothing
from .bank import Bank

Image = Union[str, Path, np.ndarray, Tensor]
LARGEST_FILE = 1 << 28  # bytes of an image file
LARGEST_IMAGE = 1 << 28  # pixels, as they are or resized


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
        first = bank.pipeline[0] if len(steps) < len(bank.pipeline) else {}
        self._decoder = first.get('imdecode_backend', 'cv2')
        self._edges = [step['scale'] for step in steps
                       if step['type'].endswith('ResizeEdge')]
        try:
            with importing_nothing():
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
                             'preprocessing (channels, height, width); '
                             f'expected {self.input_shape}')
        return batch

    def _one(self, image: Any, where: str) -> Tensor:
        """An image as the pipeline gives it, ``(C, H, W)``."""
        if isinstance(image, (str, Path)):
            where = str(image)
            pixels = _read(where, self.input_shape[0] == 1, self._decoder)
        else:
            pixels = _pixels(image, where)
            if self._type is not None and pixels.dtype != self._type:
                pixels = np.rint(pixels).astype(self._type)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        if channels not in (1, self.input_shape[0]) or 0 in pixels.shape:
            raise InputError(f'{where}: shape {pixels.shape} (height, width, '
                             f'channels); expected {self.input_shape[0]} '
                             'channels, or grey')
        self._check_growth(pixels, where)
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
                f'preprocessing; expected {self.input_shape[1]} x '
                f'{self.input_shape[2]}')
        return loaded


    def _check_growth(self, pixels: np.ndarray, where: str) -> None:
        """Refuses strips that resizing their short edge would make endless."""
        height, width = pixels.shape[:2]
        ratio = max(height, width) / min(height, width)
        if any(scale * scale * ratio > LARGEST_IMAGE for scale in self._edges):
            raise InputError(f'{where}: {height} x {width} pixels (height x '
                             'width): expected a less narrow image')


def _each(images: Any) -> Iterator[Tuple[Any, str]]:
    """Single images, and what to call them in messages."""
    several = isinstance(images, (list, tuple)) or \
        isinstance(images, (np.ndarray, Tensor)) and images.ndim == 4
    if several:
        for i, image in enumerate(images):
            yield image, f'images[{i}]'
    else:
        yield images, 'images'


def _read(path: str, grey: bool, decoder: str) -> np.ndarray:
    """The pixels of an image file, BGR or grey."""
    content = read_regular(path, most=LARGEST_FILE)
    with suppress(Exception):  # what Pillow does not know, others may
        with Pillow.open(io.BytesIO(content)) as header:
            size = header.size
        if math.prod(size) > LARGEST_IMAGE:
            raise InputError(f'{path}: {size[0]} x {size[1]} pixels: expected '
                             f'at most {LARGEST_IMAGE} of them')
    try:
        pixels = imfrombytes(content, 'grayscale' if grey else 'color',
                             backend=decoder)
    except Exception as error:  # the decoder's own
        raise InputError(f'{path}: cannot be read ({error})') from None
    if pixels is None:
        raise InputError(f'{path}: not an image file')
    if is_cut_off(path):
        raise InputError(f'{path}: the file is cut off')
    return pixels


def _pixels(image: Any, where: str) -> np.ndarray:
    """An array or a tensor as an array ``(H, W)`` or ``(H, W, C)``."""
    if isinstance(image, Tensor):
        if image.dim() != 3:
            raise InputError(f'{where}: a tensor of shape '
                             f'{tuple(image.shape)}; expected (C, H, W) and '
                             '(N, C, H, W)')
        if image.dtype == torch.bfloat16:
            image = image.float()
        image = image.detach().permute(1, 2, 0).cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise InputError(f'{where}: {type(image).__name__} is not an image; '
                         'expected paths, arrays and tensors')
    if image.ndim not in (2, 3):
        raise InputError(f'{where}: an array of shape {image.shape}; expected '
                         '(H, W), (H, W, C) and (N, H, W, C)')
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if image.dtype.kind not in 'uif':
        raise InputError(f'{where}: type {image.dtype}; expected numbers from '
                         '0 to 255')
    if image.size and not (image.min() >= 0 and image.max() <= 255):
        raise InputError(f'{where}: values from {image.min():g} to '
                         f'{image.max():g}; expected 0 to 255, as in image '
                         'files')
    return np.ascontiguousarray(image, dtype=np.float32)
