"""Makes a small detection data set in COCO's format from Fashion-MNIST.

Garments are pasted on a black canvas at random places and scales, without
overlap; a box encloses exactly the pixels of its garment. Training and held-out
images show garments of the training set, test images those of the test set. The
same seed gives the same files.
"""

import argparse
import os
import re
import shutil
from pathlib import Path
from typing import Any, Dict, List, Tuple


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--source',
        type=Path,
        default=Path('data/fashion_mnist'),
        help="folder of Fashion-MNIST's four files (default: %(default)s)")
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('data/fashion_mnist_detection'),
        help='folder to write (default: %(default)s)')
    parser.add_argument(
        '--num',
        type=int,
        nargs=3,
        default=(2000, 300, 500),
        metavar=('TRAIN', 'HELD_OUT', 'TEST'),
        help='images of each split (default: 2000 300 500)')
    parser.add_argument(
        '--size',
        type=int,
        default=96,
        help='side of an image in pixels (default: 96)')
    parser.add_argument(
        '--most',
        type=int,
        default=3,
        help='most garments in an image (default: 3)')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import cv2
import numpy as np

from pss.checks import check_integer
from pss.cli import check_integers, check_seed, run
from pss.errors import InputError
from pss.files import write_json
from pss.outputs import check_out_folder

CLASSES = ('T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal',
           'Shirt', 'Sneaker', 'Bag', 'Ankle boot')
# least and greatest ratio of a garment's side to its original 28 pixels
SCALES = 0.8, 1.6
PLACES = 50  # tried for a garment
HELD_OUT = 5_000  # garments of the training set reserved for held-out images


def read_garments(folder: Path, split: str) -> Tuple[np.ndarray, np.ndarray]:
    """Images ``(N, 28, 28)`` and labels ``(N, )`` of Fashion-MNIST."""
    paths = [
        folder / f'{split}-{name}-ubyte'
        for name in ('images-idx3', 'labels-idx1')
    ]
    for path in paths:
        if not path.is_file():
            raise InputError(f'{path}: no such file; python tools/'
                             'dataset_converters/fashion_mnist.py makes it')
    images = np.frombuffer(paths[0].read_bytes()[16:], np.uint8)
    labels = np.frombuffer(paths[1].read_bytes()[8:], np.uint8)
    if len(images) != 784 * len(labels):
        raise InputError(f'{paths[0]}: {len(images)} pixels for {len(labels)} '
                         'labels; expected 784 each')
    if not len(labels) or labels.max() >= len(CLASSES):
        raise InputError(f'{paths[1]}: expected labels from 0 to '
                         f'{len(CLASSES) - 1}, at least one')
    return images.reshape(-1, 28, 28), labels


def resized(garment: np.ndarray, scale: float) -> np.ndarray:
    """Scales a garment, and crops it to the pixels that are not black."""
    side = round(28 * scale)
    garment = cv2.resize(
        garment, (side, side),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    rows, columns = (np.flatnonzero(garment.any(axis)) for axis in (1, 0))
    if not len(rows):
        return garment[:0, :0]
    return garment[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


def paste(canvas: np.ndarray, garment: np.ndarray, taken: List[List[int]],
          rng: np.random.Generator) -> List[int]:
    """Pastes a garment at a random free place.

    Args:
        canvas: the image, changed in place.
        garment: to paste.
        taken: boxes that it must not overlap.
        rng: chooses the place.

    Returns:
        Its box: left, top, width, height. Empty if no place was found.
    """
    height, width = garment.shape
    if not garment.size or height > canvas.shape[0] or width > canvas.shape[1]:
        return []
    for _ in range(PLACES):
        y = int(rng.integers(canvas.shape[0] - height + 1))
        x = int(rng.integers(canvas.shape[1] - width + 1))
        if all(x + width <= left or left + w <= x or y + height <= top or top +
               h <= y for left, top, w, h in taken):
            canvas[y:y + height, x:x + width] = garment
            return [x, y, width, height]
    return []


def make_split(garments: np.ndarray, labels: np.ndarray, num: int, size: int,
               most: int, folder: Path, seed: List[int]) -> Dict[str, Any]:
    """Writes the images of a split, and returns its annotations.

    Args:
        garments, labels: to choose from.
        num: number of images.
        size: height and width of an image in pixels.
        most: most garments in an image; at least one.
        folder: for the images.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    images: List[Dict[str, Any]] = []
    annotations: List[Dict[str, Any]] = []
    for i in range(num):
        canvas = np.zeros((size, size), np.uint8)
        boxes: List[List[int]] = []
        for chosen in rng.integers(
                len(garments), size=int(rng.integers(1, most + 1))):
            box = paste(canvas, resized(garments[chosen], rng.uniform(*SCALES)),
                        boxes, rng)
            if box:
                boxes.append(box)
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=i,
                        iscrowd=0,
                        category_id=int(labels[chosen]) + 1,
                        bbox=box,
                        area=box[2] * box[3]))
        name = f'{i:05d}.png'
        if not cv2.imwrite(str(folder / name), canvas):
            raise InputError(f'{folder / name}: cannot be written')
        images.append(dict(id=i, file_name=name, height=size, width=size))
    categories = [
        dict(id=i, name=name) for i, name in enumerate(CLASSES, start=1)
    ]
    return dict(images=images, annotations=annotations, categories=categories)


def check_replaceable(folder: Path, splits: List[str]) -> None:
    """Refuses to replace a folder that holds anything not written by this tool.

    Raises:
        InputError: names what would be lost.
    """
    if folder.is_symlink():
        raise InputError(f'--out={folder}: is a link; expected a folder')
    written = re.compile(rf'({"|".join(splits)})(/\d{{5,}}\.png)?|annotations'
                         rf'(/({"|".join(splits)})\.json)?')
    for path in folder.rglob('*'):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not written.fullmatch(name) or \
                path.is_dir() != ('.' not in name):
            raise InputError(f'--out={folder}: holds {name!r}, which would be '
                             'lost; expected a new folder, or one that this '
                             'tool wrote')


def main(args):
    check_integers(args, size=(48, 16_384), most=(1, 10_000))
    check_seed(args)
    for num in args.num:
        check_integer('--num', num, 1, 10_000_000)
    check_out_folder(args.out)

    images, labels = read_garments(args.source, 'train')
    test = read_garments(args.source, 't10k')
    held_out = min(HELD_OUT, len(images) // 2)
    splits = {
        'train': (images[:-held_out], labels[:-held_out]),
        'held_out': (images[-held_out:], labels[-held_out:]),
        'test': test,
    }
    folder = Path(os.path.abspath(args.out))
    temporary = folder.with_name(f'{folder.name}.{os.getpid()}.tmp')
    check_replaceable(folder, list(splits))
    try:
        for i, ((name, garments),
                num) in enumerate(zip(splits.items(), args.num)):
            found = make_split(*garments, num, args.size, args.most,
                               temporary / name, [args.seed, i])
            write_json(found, temporary / 'annotations' / f'{name}.json')
            print(
                f'{name}: {num} images, {len(found["annotations"])} '
                'garments',
                flush=True)
        check_replaceable(folder, list(splits))
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f'The data set is in {args.out}')


if __name__ == '__main__':
    run(main, args)
