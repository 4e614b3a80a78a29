"""Whether image files can be read, without decoding most of them."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

import cv2
import numpy as np
from PIL import Image

from ..files import reason_of
from .checked import ends_early

# what OpenCV decodes, by Pillow's names; MPO is a JPEG file with more images
FORMATS = ('JPEG', 'MPO', 'PNG', 'BMP', 'PPM', 'TIFF', 'WEBP')
LEAST_SIDE = 8  # pixels; smaller images are mentioned
MOST_RATIO = 50  # of the long to the short side; resizing would fill memory

GREY = 'grey, so their channel is used three times'
ALPHA = 'transparent, which is ignored'
CMYK = 'CMYK and converted to RGB'
DEEP = '16 bits deep, of which the upper 8 are used'
TINY = f'less than {LEAST_SIDE} pixels wide or high and enlarged'

_THREADS = 8
_AT_ONCE = 4096  # images given to the threads
_SECONDS = 10  # between two calls of progress


@dataclass(frozen=True)
class ImageFacts:
    """What the quick check of an image found.

    Attributes:
        size: width and height in pixels; zeros if it cannot be read.
        problem: why it cannot be used; empty if it can.
        notes: how it is converted: some of the constants of this module.
    """
    size: Tuple[int, int] = (0, 0)
    problem: str = ''
    notes: Tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckedImages:
    """What the quick check of many images found.

    Attributes:
        problems: by path, why an image cannot be used.
        notes: for each way of conversion, the paths of its images.
        short_sides: of the images that can be used, in pixels, ``(N,)``.
    """
    problems: Dict[str, str]
    notes: Dict[str, List[str]]
    short_sides: np.ndarray


def check_image(path: Path, decode: bool = False) -> ImageFacts:
    """Checks an image's header, and that the file is complete.

    The end of a JPEG file tells whether it is complete, as do the lengths and
    checksums in a PNG file; files of other formats are decoded. Damage inside a
    JPEG file that is complete is only found by decoding.

    Args:
        path: the file.
        decode: whether to decode every image as training does.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of Pillow: large images
            with Image.open(path) as image:
                return _check_opened(image, path, decode)
    except (OSError, SyntaxError, ValueError, EOFError,
            Image.DecompressionBombError) as error:
        if isinstance(error, Image.UnidentifiedImageError):
            if path.exists() and path.stat().st_size == 0:
                return ImageFacts(problem='is empty')
            decoded = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if decoded is not None:  # such as a TIFF file of 16-bit colours
                return ImageFacts(decoded.shape[1::-1])
            return ImageFacts(problem='is no image')
        return ImageFacts(problem=f'cannot be read ({reason_of(error)})')


def _check_opened(image: Image.Image, path: Path, decode: bool) -> ImageFacts:
    if image.format not in FORMATS:
        return ImageFacts(problem=f'is a {image.format} file; expected JPEG, '
                          'PNG, BMP, PPM, TIFF or WebP')
    width, height = image.size
    if max(width, height) > MOST_RATIO * min(width, height):
        return ImageFacts(
            problem=f'has {width} x {height} pixels; expected one side to be '
            f'at most {MOST_RATIO} times the other')
    if image.format == 'TIFF' and image.mode in ('I', 'F'):
        return ImageFacts(problem='has 32 bits in a channel; expected 8 or 16')
    facts = ImageFacts(image.size, '', _notes(image, path))
    if image.format in ('JPEG', 'MPO'):
        if ends_early(path):
            return ImageFacts(problem='is cut off')
    elif image.format == 'PNG':
        image.verify()
    else:
        image.load()
        decode = True
    if decode and cv2.imread(str(path), cv2.IMREAD_COLOR) is None:
        return ImageFacts(problem='cannot be decoded')
    return facts


def _notes(image: Image.Image, path: Path) -> Tuple[str, ...]:
    bands = image.getbands()
    notes = []
    if bands[0] in ('1', 'L', 'I'):
        notes.append(GREY)
    if bands[-1] in ('A', 'a') or 'transparency' in image.info:
        notes.append(ALPHA)
    if bands == ('C', 'M', 'Y', 'K'):
        notes.append(CMYK)
    if image.mode.startswith('I') or image.format == 'PNG' and \
            _png_depth(path) == 16:
        notes.append(DEEP)
    if min(image.size) < LEAST_SIDE:
        notes.append(TINY)
    return tuple(notes)


def _png_depth(path: Path) -> int:
    """Bits in a channel; Pillow does not tell for colour images."""
    with open(path, 'rb') as file:
        return file.read(25)[24]


def check_images(root: Path,
                 paths: Sequence[str],
                 progress: Callable[[int], None],
                 decode: bool = False) -> CheckedImages:
    """Checks many images, in several threads.

    Args:
        root: their folder.
        paths: below it.
        progress: called every ten seconds with the number of images checked.
        decode: see :func:`check_image`.
    """
    problems: Dict[str, str] = {}
    notes: Dict[str, List[str]] = {}
    sides = []
    last = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(paths), _AT_ONCE):
            some = paths[start:start + _AT_ONCE]
            found = threads.map(lambda p: check_image(root / p, decode), some)
            for i, (path, facts) in enumerate(zip(some, found), start + 1):
                if facts.problem:
                    problems[path] = facts.problem
                else:
                    sides.append(min(facts.size))
                for note in facts.notes:
                    notes.setdefault(note, []).append(path)
                if time.monotonic() - last > _SECONDS:
                    progress(i)
                    last = time.monotonic()
    return CheckedImages(problems, notes, np.array(sides, dtype=int))
