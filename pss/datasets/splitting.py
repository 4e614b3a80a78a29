"""Splitting a folder of classes into training, held-out and test images."""

import hashlib
import os
from collections import defaultdict
from dataclasses import dataclass
from typing import Collection, Dict, List, Sequence, Tuple

from ..checks import LARGEST_SEED, check_integer, check_number, shown
from ..errors import InputError
from .folder_listing import FolderListing, Image

PARTS = ('train', 'held_out', 'test')


@dataclass(frozen=True)
class FolderSplit:
    """The parts of a folder of classes.

    Attributes:
        images: for each of ``PARTS``.
        problems: classes with too few images, one text each.
        digest: of the parts; equal if and only if all of them are.
    """
    images: Dict[str, List[Image]]
    problems: Tuple[str, ...]
    digest: str


def split_folder(listing: FolderListing,
                 held_out: float = 0.1,
                 test: float = 0.1,
                 seed: int = 0,
                 skipped: Collection[str] = ()) -> FolderSplit:
    """Draws the parts that a folder has no folders for from its training
    images.

    The split is a function of the files' names and the seed: the images of each
    class are sorted by a hash of the seed and their path below the folder; the
    first are tested, the next held out, and all others train. So parts never
    overlap; they are the same in every process, on every machine and in a
    resumed run; and each class loses the same share, rounded, but at least one
    image. A class that gets more images keeps those that it had in order, so
    that few images change their part.

    Args:
        listing: the folder.
        held_out, test: the share of each class's images, unless the folder has
            a folder for that part.
        seed: another seed is another split.
        skipped: paths of images that belong to no part.

    Raises:
        InputError: if a share is not between 0 and 1, both together are not
            below 1, or the seed is not an integer.
    """
    shares = {'test': test, 'held_out': held_out}
    for name, share in shares.items():
        check_number(f'data.{name}', share, above=0, below=1)
    if held_out + test >= 1:
        raise InputError(f'data.held_out={held_out!r}, data.test={test!r}: '
                         'expected less than 1 together')
    check_integer('data.seed', seed, 0, LARGEST_SEED)
    without = frozenset(skipped)
    given = {
        part: [image for image in images if image[0] not in without]
        for part, images in listing.images.items()
    }
    drawn = {part: share for part, share in shares.items() if part not in given}
    parts: Dict[str, List[Image]] = {part: [] for part in PARTS}
    parts.update(given, train=[])
    least = 1 + len(drawn)
    purposes = ' and '.join(['1 to train', *(_PURPOSE[part] for part in drawn)])
    problems = []
    of_class = defaultdict(list)
    for image in given['train']:
        of_class[image[1]].append(image)
    # classes without any image are among the listing's problems
    for label in sorted({label for _, label in listing.images['train']}):
        images = sorted(
            of_class[label], key=lambda image: _place(seed, image[0]))
        if len(images) < least:
            problems.append(
                f'class {shown(listing.classes[label])}: images that can be '
                f'used: {len(images)}; expected {least} or more: {purposes}')
        for part, share in drawn.items():
            num = max(1, int(share * len(of_class[label]) + 0.5))
            parts[part] += images[:num]
            images = images[num:]
        parts['train'] += images
    problems += [
        f'part {part}: has no image; expected some' for part in PARTS
        if not parts[part] and not problems
    ]
    parts = {part: sorted(images) for part, images in parts.items()}
    return FolderSplit(parts, tuple(problems), _digest(listing.classes, parts))


_PURPOSE = {'held_out': '1 to hold out', 'test': '1 to test'}


def _place(seed: int, path: str) -> bytes:
    """Where an image is in the order in which parts are drawn."""
    return hashlib.blake2b(
        os.fsencode(f'{seed}/{path}'), digest_size=8).digest()


def _digest(classes: Sequence[str], parts: Dict[str, List[Image]]) -> str:
    text = repr((classes, [parts[part] for part in PARTS]))
    return hashlib.blake2b(
        text.encode('utf-8', 'backslashreplace'), digest_size=8).hexdigest()
