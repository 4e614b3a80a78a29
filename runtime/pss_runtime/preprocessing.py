"""From image files and arrays to the input of networks."""

import io
import math
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from PIL import Image, ImageOps

from .errors import InputError

LARGEST_IMAGE = 1 << 27  # pixels, as they are or resized
ORIENTATION = 0x0112  # of EXIF


class Preprocessing:
    """A device bank's preprocessing, the same as its supernet's.

    Args:
        config: ``steps``, a list of ``Resize``, ``ResizeEdge`` and
            ``CenterCrop`` with all of mmpretrain's arguments; and the
            normalisation: ``to_rgb``, ``mean``, ``std``.
        input_shape: channels, height and width after it.
    """

    def __init__(self, config: Mapping[str, Any],
                 input_shape: Sequence[int]) -> None:
        self.input_shape = tuple(input_shape)
        self._steps: List[Dict[str, Any]] = config['steps']
        self._to_rgb = config['to_rgb']
        self._mean, self._std = (
            np.array(config[key], np.float32)[:, None, None]
            for key in ('mean', 'std'))

    def __call__(self, images: Any) -> np.ndarray:
        """A normalised batch ``(N, C, H, W)``, float32.

        Args:
            images: see :meth:`.Adaptive.predict`.

        Raises:
            InputError: for a file that is not an image, and for an image of
                another shape or type.
        """
        return self.batch(self.load(images))

    def load(self, images: Any) -> List[np.ndarray]:
        """Loads images and applies the steps; each becomes ``(H, W, C)``.

        Args:
            images: see :meth:`.Adaptive.predict`.

        Raises:
            InputError: for a file that is not an image, and for an image of
                another shape or type.
        """
        if not isinstance(images, (list, tuple)) and \
                getattr(images, 'ndim', 3) != 4:
            return [self._one(images, 'images')]
        return [
            self._one(image, f'images[{i}]') for i, image in enumerate(images)
        ]

    def batch(self, loaded: Sequence[np.ndarray]) -> np.ndarray:
        """A normalised batch ``(N, C, H, W)`` of loaded images, float32."""
        if not len(loaded):
            return np.zeros((0, *self.input_shape), np.float32)
        batch = loaded if isinstance(loaded, np.ndarray) else np.stack(loaded)
        batch = batch.transpose(0, 3, 1, 2)
        if self._to_rgb:
            batch = batch[:, ::-1]
        # into memory in the network's order, which else would be copied
        normalised = np.empty(batch.shape, np.float32)
        np.subtract(batch, self._mean, out=normalised)
        return np.divide(normalised, self._std, out=normalised)

    def _one(self, image: Any, name: str) -> np.ndarray:
        """One image after the steps, ``(H, W, C)``."""
        channels, *wanted = self.input_shape
        if isinstance(image, (str, Path)):
            name = str(image)
            pixels = _read(name, channels == 1)
        elif isinstance(image, bytes):
            pixels = _decoded(image, name, channels == 1)
        else:
            pixels = _checked(image, name)
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        if pixels.shape[2] not in (1, channels) or not pixels.size:
            raise InputError(f'{name}: shape {pixels.shape} (height, width, '
                             f'channels); expected {channels} channels, or '
                             'grey')
        height, width = pixels.shape[:2]
        for step in self._steps:
            sides = _sides_after(step, *pixels.shape[:2])
            if not 1 <= math.prod(sides) <= LARGEST_IMAGE:
                break
            pixels = _crop(pixels, sides) if step['type'] == 'CenterCrop' \
                else _resize(pixels, sides, step)
        else:
            sides = pixels.shape[:2]
        if list(sides) != wanted:
            raise InputError(
                f'{name}: {height} x {width} pixels (height x width) become '
                f'{sides[0]} x {sides[1]} in preprocessing; expected '
                f'{wanted[0]} x {wanted[1]}')
        return np.broadcast_to(pixels, (*wanted, channels))


def _sides_after(step: Dict[str, Any], height: int,
                 width: int) -> Tuple[int, ...]:
    """Height and width of an image after a step."""
    if step['type'] == 'CenterCrop':
        across, down = step['crop_size']
        return min(height, down), min(width, across)
    scale = step['scale']
    if step['type'] == 'ResizeEdge':
        edge = step['edge']
        if edge == 'width' or edge == 'short' and width < height or \
                edge == 'long' and width > height:
            return int(scale * height / width), scale
        return scale, int(scale * width / height)
    if not step['keep_ratio']:
        return scale[1], scale[0]
    factor = min(
        max(scale) / max(height, width),
        min(scale) / min(height, width))
    return int(height * factor + 0.5), int(width * factor + 0.5)


def _crop(pixels: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    top, left = (round((size - side) / 2)
                 for size, side in zip(pixels.shape, sides))
    return pixels[top:top + sides[0], left:left + sides[1]]


def _resize(pixels: np.ndarray, sides: Sequence[int],
            step: Dict[str, Any]) -> np.ndarray:
    """Resizes bytes as Pillow or OpenCV do."""
    if pixels.shape[:2] == tuple(sides):  # both leave it as it is
        return pixels
    if step['backend'] == 'cv2':
        # rows and columns take turns
        for axis in (1, 0):
            pixels = _bilinear(pixels, axis, sides[axis])
        return pixels.clip(0, 255).astype(np.uint8)
    method = Image.Resampling[step['interpolation'].upper()]
    return np.dstack([
        np.asarray(
            Image.fromarray(channel).resize((sides[1], sides[0]), method))
        for channel in np.ascontiguousarray(pixels.transpose(2, 0, 1))
    ])


def _bilinear(pixels: np.ndarray, axis: int, side: int) -> np.ndarray:
    """Interpolates along an axis as OpenCV does, with factors of 11 bits."""
    size = pixels.shape[axis]
    place = ((np.arange(side) + 0.5) * (1 / (side / size)) - 0.5).astype(
        np.float32)
    first = np.floor(place)
    share = place - first
    if axis == 1:  # beyond the ends
        share[(first < 0) | (first >= size - 1)] = 0
    both = []
    for i, factor in enumerate((1 - share, share)):
        places = (first + i).clip(0, size - 1).astype(int)
        shape = (-1, 1) if axis else (-1, 1, 1)
        part = pixels.take(places, axis).astype(np.int64)
        whole = np.rint(factor * np.float32(2048)).astype(np.int64)
        both.append((part, whole.reshape(shape)))
    if axis == 1:
        return sum(part * whole for part, whole in both)
    return (sum((part >> 4) * whole >> 16 for part, whole in both) + 2) >> 2


def _read(path: str, grey: bool) -> np.ndarray:
    """The pixels of an image file, BGR or grey, as OpenCV decodes them."""
    try:
        if not Path(path).is_file():  # a named pipe would be waited for
            raise ValueError('no such file')
        with open(path, 'rb') as file:
            content = file.read()
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: cannot be read as an image '
                         f'({error})') from None
    return _decoded(content, path, grey)


def _decoded(content: bytes, name: str, grey: bool) -> np.ndarray:
    """The pixels of an image file's content, see :func:`_read`."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > LARGEST_IMAGE:
                raise ValueError(f'{image.width} x {image.height} pixels; '
                                 f'expected at most {LARGEST_IMAGE}')
            if grey:
                image.draft('L', image.size)  # JPEG files have it inside
            # Pillow copies what it would leave as it is, here and below
            pixels: Image.Image = image
            if image.getexif().get(ORIENTATION, 1) != 1:
                pixels = ImageOps.exif_transpose(image)
            if pixels.mode.startswith('I;16'):
                pixels = Image.fromarray(
                    (np.asarray(pixels) >> 8).astype(np.uint8))
            mode = 'L' if grey else 'RGB'
            if pixels.mode != mode:
                pixels = pixels.convert(mode)
            # turned round later they would have to be copied once more
            content = pixels.tobytes('raw', 'L' if grey else 'BGR')
            return np.frombuffer(content,
                                 np.uint8).reshape(pixels.height, pixels.width,
                                                   -1)
    except Exception as error:  # each format has its own types
        raise InputError(f'{name}: cannot be read as an image '
                         f'({error})') from None


def _checked(image: Any, name: str) -> np.ndarray:
    """An array ``(H, W)`` or ``(H, W, C)``, as bytes."""
    if not isinstance(image, np.ndarray) or image.ndim not in (2, 3) or \
            image.dtype.kind not in 'uif':
        found = f'{image.dtype} of shape {image.shape}' if isinstance(
            image, np.ndarray) else type(image).__name__
        raise InputError(f'{name}: {found} is not an image; expected a path, '
                         'or numbers of shape (H, W), (H, W, C), (N, H, W, C)')
    if image.size and not (image.min() >= 0 and image.max() <= 255):
        raise InputError(f'{name}: values from {image.min():g} to '
                         f'{image.max():g}; expected 0 to 255, as in image '
                         'files')
    return image if image.dtype == np.uint8 else np.rint(image).astype(np.uint8)
