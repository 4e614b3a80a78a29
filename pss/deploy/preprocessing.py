"""From image files, arrays and tensors to the input of classifiers."""

import io
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple, Union

import numpy as np
import torch
from mmcv.image import imfrombytes
from mmengine.dataset import Compose
from mmpretrain.datasets import remove_transform
from mmpretrain.registry import TRANSFORMS
from PIL import Image as Pillow
from torch import Tensor

from ..datasets.checked import is_cut_off
from ..errors import InputError, first_line
from ..files import read_regular
from ..models import SupernetClassifier
from ..registry import importing_nothing
from .bank import Bank

Image = Union[str, Path, bytes, np.ndarray, Tensor]
LARGEST_FILE = 1 << 28  # bytes of an image file
LARGEST_IMAGE = 1 << 27  # pixels, as they are or resized


class Preprocessing:
    """A bank's preprocessing: its transforms, then its model's normalisation.

    It loads images as mmpretrain's inferencer does.

    Args:
        bank: has the transforms.
        model: its supernet; has the normalisation, and the device.

    Raises:
        InputError: if the transforms cannot be built.
    """

    def __init__(self, bank: Bank, model: SupernetClassifier) -> None:
        self.input_shape = bank.input_shape
        self._normalise = model.data_preprocessor
        # not every image is a file, so loading is done here
        steps = remove_transform(bank.pipeline, 'LoadImageFromFile')
        loading = bank.pipeline[0] if len(steps) < len(bank.pipeline) else {}
        self._decoder = loading.get('imdecode_backend', 'cv2')
        self._steps = steps
        try:
            with importing_nothing():
                self._pipeline = Compose([
                    TRANSFORMS.build({
                        # transforms want tuples, and a bank has lists
                        key:
                        tuple(value) if isinstance(value, list) else value
                        for key, value in step.items()
                    }) for step in steps
                ])
        except Exception as error:  # classes raise anything for a wrong config
            raise InputError('bank: preprocessing.pipeline cannot be built '
                             f'({first_line(error)})') from None
        # Pillow resizes only integers
        self._type = np.uint8 if any(
            step.get('backend') == 'pillow' for step in steps) else None

    def load(self, images: Union[Image, Sequence[Image]]) -> List[Tensor]:
        """Loads images and applies the transforms; each becomes ``(C, H, W)``.

        Args:
            images: see :meth:`.Adaptive.predict`.

        Raises:
            InputError: for a file that is not an image, and for an image of
                another shape or type.
        """
        return [self._one(image, where) for image, where in _each(images)]

    def batch(self, loaded: Sequence[Tensor]) -> Tensor:
        """A normalised batch of loaded images, ``(N, C, H, W)``.

        Raises:
            InputError: if its channels, height and width are not those of the
                bank's input.
        """
        batch = self._normalise(dict(inputs=torch.stack(list(loaded))),
                                False)['inputs']
        if tuple(batch.shape[1:]) != self.input_shape:
            raise InputError(f'images: {tuple(batch.shape[1:])} after '
                             'preprocessing (channels, height, width); '
                             f'expected {self.input_shape}')
        return batch

    def _one(self, image: Any, where: str) -> Tensor:
        """One image after the transforms, ``(C, H, W)``."""
        if isinstance(image, (str, Path)):
            where = str(image)
            pixels = _read(where, self.input_shape[0] == 1, self._decoder)
        elif isinstance(image, bytes):
            pixels = _decoded(image, where, self.input_shape[0] == 1,
                              self._decoder)
            if _ends_early(image):
                raise InputError(f'{where}: the file is cut off')
        else:
            pixels = _pixels(image, where)
            if self._type is not None and pixels.dtype != self._type:
                pixels = np.rint(pixels).astype(self._type)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        wanted = self.input_shape[0]
        if channels not in (1, wanted) or 0 in pixels.shape:
            raise InputError(f'{where}: shape {pixels.shape} (height, width, '
                             f'channels); expected {wanted} channels, or grey')
        self._check_growth(pixels, where)
        if channels == 1:
            # grey images have two axes, as mmpretrain loads them
            pixels = pixels.reshape(pixels.shape[:2])
            if wanted > 1:
                pixels = np.repeat(pixels[..., None], wanted, axis=2)
        loaded = self._pipeline(
            dict(
                img=pixels,
                img_shape=pixels.shape[:2],
                ori_shape=pixels.shape[:2]))['inputs']
        if tuple(loaded.shape[-2:]) != self.input_shape[1:]:
            raise InputError(
                f'{where}: {pixels.shape[0]} x {pixels.shape[1]} pixels (height'
                f' x width) become {loaded.shape[-2]} x {loaded.shape[-1]} in '
                f'preprocessing; expected {self.input_shape[1]} x '
                f'{self.input_shape[2]}')
        return loaded

    def _check_growth(self, pixels: np.ndarray, where: str) -> None:
        """Refuses images that a step would make huge or empty, such as a strip
        whose short edge is resized."""
        height, width = pixels.shape[:2]
        for step in self._steps:
            height, width = _size_after(step, height, width)
            if not 1 <= height * width <= LARGEST_IMAGE:
                raise InputError(
                    f'{where}: {pixels.shape[0]} x {pixels.shape[1]} pixels '
                    f'(height x width) become {height} x {width} in '
                    f'preprocessing; expected 1 to {LARGEST_IMAGE} of them')


def _size_after(step: Dict[str, Any], height: int,
                width: int) -> Tuple[int, int]:
    """Height and width of an image after a step, within a pixel."""
    name = step['type'].rpartition('.')[2]
    if name == 'ResizeEdge':
        edge = dict(
            short=min(height, width),
            long=max(height, width),
            height=height,
            width=width)[step.get('edge', 'short')]
        factor = step['scale'] / edge
        return int(height * factor + 0.5), int(width * factor + 0.5)
    if name == 'Resize':
        sides = _pair(step['scale'])
        if not step.get('keep_ratio', False):
            return sides[1], sides[0]
        factor = min(
            max(sides) / max(height, width),
            min(sides) / min(height, width))
        return int(height * factor + 0.5), int(width * factor + 0.5)
    if name == 'CenterCrop':
        sides = _pair(step['crop_size'])
        return min(height, sides[0]), min(width, sides[1])
    return height, width


def _pair(sides: Union[int, Sequence[int]]) -> Tuple[int, int]:
    if isinstance(sides, int):
        return sides, sides
    one, other = sides
    return one, other


def _each(images: Any) -> Iterator[Tuple[Any, str]]:
    """Single images, each with its name for messages."""
    several = isinstance(images, (list, tuple)) or \
        isinstance(images, (np.ndarray, Tensor)) and images.ndim == 4
    if several:
        for i, image in enumerate(images):
            yield image, f'images[{i}]'
    else:
        yield images, 'images'


def _read(path: str, grey: bool, decoder: str) -> np.ndarray:
    """The pixels of an image file, BGR or grey.

    Args:
        path: of the file.
        grey: whether one channel is wanted.
        decoder: mmcv's name of the library that decodes it.
    """
    pixels = _decoded(
        read_regular(path, most=LARGEST_FILE), path, grey, decoder)
    if is_cut_off(path):
        raise InputError(f'{path}: the file is cut off')
    return pixels


def _decoded(content: bytes, where: str, grey: bool,
             decoder: str) -> np.ndarray:
    """The pixels of an image file's content, see :func:`_read`."""
    _check_pixels(where, content)
    try:
        pixels = imfrombytes(
            content, 'grayscale' if grey else 'color', backend=decoder)
    except Exception as error:  # each decoder has its own types
        raise InputError(f'{where}: cannot be read ({error})') from None
    if pixels is None:
        raise InputError(f'{where}: not an image file')
    return pixels


def _ends_early(content: bytes) -> bool:
    """Whether a JPEG file's content ends before its image does."""
    if content[:2] != b'\xff\xd8' or content[-2:] == b'\xff\xd9':
        return False
    try:
        with Pillow.open(io.BytesIO(content)) as image:
            image.load()
    except (OSError, SyntaxError):
        return True
    return False


def _check_pixels(path: str, content: bytes) -> None:
    """Refuses a file whose header announces too many pixels, before they are
    decoded."""
    try:
        with Pillow.open(io.BytesIO(content)) as header:
            width, height = header.size
        found = f'{width} x {height} pixels'
        is_large = width * height > LARGEST_IMAGE
    except Pillow.DecompressionBombError as error:
        found, is_large = first_line(error), True
    except Exception:  # other decoders may know what Pillow does not
        return
    if is_large:
        raise InputError(
            f'{path}: {found}: expected at most {LARGEST_IMAGE} of them')


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
