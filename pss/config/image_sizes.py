"""Resolutions that suit the sizes of images."""

from typing import Any, Dict, Optional, Sequence

import numpy as np
from PIL import Image

from ..checks import is_integer
from ..errors import InputError
from ..files import FilePath

_LARGEST = 224  # pixels; of larger images, too
_LEAST = 28  # smaller images are enlarged
_SMALLEST_SHARE = 128 / 224  # of the largest resolution, as in the paper
# the stem and the stages of MobileNetV2: 16 pixels become one instead of 32
STRIDES_OF_SMALL = (2, 1, 1, 2, 2, 1, 2, 1)
SMALL = 128  # pixels; below them these strides


def resolutions_for(side: int) -> Dict[str, int]:
    """The resolutions for images of a size: for 224 pixels and more the
    paper's, 128 to 224 in steps of 8; for smaller ones the same range below
    their size.

    The least keeps two pixels in the last stage of MobileNetV2 with the strides
    for small images.

    Args:
        side: the images' shorter side, in pixels.
    """
    largest = max(_LEAST, min(side, _LARGEST))
    step = 8 if largest >= SMALL else 4 if largest >= SMALL // 2 else 2
    largest -= largest % step
    smallest = largest
    while smallest - step >= max(_SMALLEST_SHARE * largest, 17):
        smallest -= step
    return dict(start=smallest, stop=largest, step=step)


def typical_side(images: Sequence[FilePath]) -> int:
    """The median of the shorter sides of images, in pixels.

    Raises:
        InputError: if none of them can be read.
    """
    sides = []
    for path in images:
        try:
            with Image.open(path) as image:
                sides.append(min(image.size))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue  # it is named when all images are checked
    if not sides:
        raise InputError(f'model.backbone.search_space.resolutions=None: none '
                         f'of {len(images)} images can be read, such as '
                         f'{images[0]}; expected images')
    return int(np.median(sides))


def largest_of(resolutions: Any) -> Optional[int]:
    """The largest resolution; ``None`` if the backbone will refuse them."""
    if isinstance(resolutions, dict):
        start, stop, step = (
            resolutions.get(key, 0) for key in ('start', 'stop', 'step'))
        if not (is_integer(start) and is_integer(stop) and is_integer(step)
                and step):
            return None
        resolutions = range(start, stop + 1, step)
    if not isinstance(resolutions, (list, tuple, range)) or not all(
            map(is_integer, resolutions)):
        return None
    return max(resolutions, default=None)
