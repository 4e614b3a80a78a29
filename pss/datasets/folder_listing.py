"""The images of a folder that has one folder for each class."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Optional, Tuple

from ..checks import LONGEST_PATH, check_text, shown
from ..errors import InputError
from ..files import system_errors

# mmpretrain's, with the long name of TIFF and WebP
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff',
              '.webp')
TRAIN = 'train'
VALIDATION = ('val', 'valid', 'validation')
TEST = ('test', )

Image = Tuple[str, int]  # path below the folder, label


@dataclass(frozen=True)
class FolderListing:
    """What a folder of classes holds, by the names of its files.

    Attributes:
        classes: names of the class folders, sorted; a label is a position in
            them.
        images: the images that the folder gives to each part: ``train``, and
            ``held_out`` and ``test`` if it has folders for them.
        problems: what keeps it from being used, one text each.
        remarks: what is not used or missing, one text each.
    """
    classes: Tuple[str, ...]
    images: Dict[str, List[Image]]
    problems: Tuple[str, ...] = ()
    remarks: Tuple[str, ...] = ()


def list_folder(data_root: str) -> FolderListing:
    """Lists a folder of classes, without opening a file.

    There are two layouts::

        data_root/cat/1.jpg            data_root/train/cat/1.jpg
        data_root/cat/more/2.jpg       data_root/val/cat/2.jpg
        data_root/dog/3.jpg            data_root/test/cat/3.jpg

    The second is assumed if ``train`` has folders but no images beside them.
    Then ``test`` is the test part; so is ``val`` (or ``valid`` or
    ``validation``) if there is no ``test``, as in ImageNet, and otherwise it is
    held out. Images may lie deeper in a class's folder. What begins with a dot
    is ignored, folders included.

    Raises:
        InputError: if it is not a folder, or has fewer than two classes.
    """
    root = _checked_root(data_root)
    with system_errors(f'data_root={data_root!r}: cannot be read'):
        places = _places(root)
        train = root / places['train']
        classes = _folders(train)
        labels = {name: label for label, name in enumerate(classes)}
        _check_classes(classes, train, f'data_root={data_root!r}')
        problems = [
            f'class {shown(name)}: expected a printable name'
            for name in classes if not name.isprintable()
        ]
        remarks = _beside(root, places)
        images: Dict[str, List[Image]] = {}
        unused: Counter = Counter()
        for part, place in places.items():
            folders = _folders(root / place)
            problems += [
                f'{place}/{name}: expected one of the class folders of '
                f'{TRAIN}' for name in folders if name not in labels
            ]
            images[part] = []
            for name in (name for name in classes if name in folders):
                below = f'{place}/{name}' if place else name
                found = sorted(_files(root / below))
                used = [file for file in found if is_image(file)]
                unused.update(
                    Path(file).suffix.lower() or 'without extension'
                    for file in found if not is_image(file))
                images[part] += [(f'{below}/{file}', labels[name])
                                 for file in used]
                if part == 'train' and not used:
                    problems.append(f'{below}: has no image; expected some, or '
                                    'no folder')
            missing = [name for name in classes if name not in folders]
            if missing:
                remarks.append(f'{place} has no folder for these classes: '
                               f'{shown(missing)}')
    if unused:
        kinds = ', '.join(f'{n} {kind}' for kind, n in unused.most_common(10))
        remarks.append(
            f'Not used: files that are not images by their names: {kinds}')
    return FolderListing(
        tuple(classes), images, tuple(problems), tuple(remarks))


def _checked_root(data_root: str) -> Path:
    check_text('data_root', data_root, LONGEST_PATH)
    root = Path(data_root).expanduser()
    if not data_root or '://' in data_root or not root.is_dir():
        raise InputError(f'data_root={data_root!r}: no such folder; expected '
                         'one with a folder of images for each class')
    return root


def _places(root: Path) -> Dict[str, str]:
    """The folder of each part that has one, relative to the root."""
    train = root / TRAIN
    if not train.is_dir() or _images_beside(train) or \
            not _folders(train):
        return dict(train='')
    places = dict(train=TRAIN)
    found: List[Optional[str]] = [
        next((name for name in names if (root / name).is_dir()), None)
        for names in (TEST, VALIDATION)
    ]
    test, validation = found
    if test or validation:
        places['test'] = str(test or validation)
    if test and validation:
        places['held_out'] = validation
    return places


def _check_classes(classes: List[str], train: Path, where: str) -> None:
    if len(classes) > 1:
        return
    images = len(_images_beside(train))
    hint = f', images beside it: {images}' if images else ''
    if classes:
        inner = len(_folders(train / classes[0]))
        if inner > 1:
            hint += f'; is data_root {train / classes[0]}, with {inner}?'
    raise InputError(f'{where}: class folders: {len(classes)}{hint}; '
                     'expected two or more folders of images, one for each '
                     'class')


def _beside(root: Path, places: Dict[str, str]) -> List[str]:
    """What lies beside the folders that are used."""
    remarks = []
    for folder in sorted({root, *(root / name for name in places.values())}):
        images = _images_beside(folder)
        if images:
            remarks.append(
                f'Not used: images in no class folder: {len(images)}, such as '
                f'{shown(images[0])}')
    if places['train']:
        others = set(_folders(root)) - set(places.values())
        if others:
            remarks.append(f'Not used: {shown(sorted(others))} beside {TRAIN}')
    return remarks


def _folders(folder: Path) -> List[str]:
    """The names of the folders in a folder, sorted."""
    return sorted(entry.name for entry in _entries(folder) if entry.is_dir())


def _images_beside(folder: Path) -> List[str]:
    """The names of the images that lie in a folder itself, sorted."""
    return sorted(
        entry.name for entry in _entries(folder)
        if entry.is_file() and is_image(entry.name))


def _files(
    folder: Path,
    within: str = '',
    above: FrozenSet[Tuple[int, int]] = frozenset()
) -> Iterator[str]:
    """The files below a folder, at any depth, relative to it.

    Links are followed, but not to a folder that holds them.
    """
    here = folder / within
    status = here.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for entry in _entries(here):
        path = f'{within}/{entry.name}' if within else entry.name
        if entry.is_dir():
            yield from _files(folder, path, above | {identity})
        elif entry.is_file():
            yield path


def _entries(folder: Path) -> List['os.DirEntry[str]']:
    """What is in a folder; not what begins with a dot, such as
    ``.ipynb_checkpoints``."""
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith('.')]


def is_image(name: str) -> bool:
    """Whether a file is an image by its name."""
    return name.lower().endswith(EXTENSIONS)
