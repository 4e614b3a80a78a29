"""A dataset that reports a bad image or label as one clear error."""

import os
import struct
import zlib
from typing import Any, Callable, Dict, Optional

import cv2
import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image, UnidentifiedImageError
from torch.utils.data import Dataset, IterableDataset

from ..checks import shown
from ..errors import DataError, InputError
from ..files import FilePath, reason_of
from ..registry import DATASETS
from .building import build_dataset
from .shared_lists import SharedLists

# what readers and decoders raise for missing or damaged files
_DAMAGED = (OSError, AssertionError, EOFError, SyntaxError, cv2.error,
            struct.error, zlib.error)
# How many labels are checked before the first iteration, in 0.06 s. All of
# ImageNet's would take 4 s for each of six loaders.
_LABELS = 20_000


class CheckedDataset(Dataset):
    """A dataset that says which image cannot be used, and why.

    An image is refused if it cannot be read, if it is a truncated JPEG file
    (some decoders fill in grey for what is missing), or if its label is not one
    of the classifier's: in training that would end in a crash, and in an
    evaluation it would count as a mistake. In all else, attributes included, it
    behaves as the dataset it wraps.

    Args:
        dataset: the dataset, with a length.
        where: the config's field that has the dataset, for messages.
        num_classes: the classifier's; ``None`` for other models.
        exact: whether to refuse an image for which the pipeline returns
            ``None``; MMEngine's datasets return another image instead.
    """

    def __init__(self,
                 dataset: Any,
                 where: str,
                 num_classes: Optional[int] = None,
                 exact: bool = False) -> None:
        self.dataset = dataset
        self.where = where
        self.num_classes = num_classes
        self.exact = exact

    def __getattr__(self, name: str) -> Any:
        # while it is unpickled, it has no dataset yet
        if name.startswith('__') or name == 'dataset':
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            item = self._load(index)
        except InputError:
            raise
        except Exception as error:
            # MMEngine's datasets raise Exception itself if they find no usable
            # image
            if not isinstance(error, _DAMAGED) and type(error) is not Exception:
                raise
            raise self._wrong(
                index, 'cannot be loaded '
                f'({_one_line(reason_of(error))})') from error
        sample = item.get('data_samples') if isinstance(item, dict) else None
        path = getattr(sample, 'img_path', None)
        if is_cut_off(path):
            raise DataError(f'{self.where}: {path}: the file is cut off')
        label = getattr(sample, 'gt_label', None)
        if label is not None:
            self._check_label(index, label)
        return item

    def _load(self, index: int) -> Any:
        if not self.exact or \
                getattr(type(self.dataset), '__getitem__', None) \
                is not BaseDataset.__getitem__:
            return self.dataset[index]
        item = self.dataset.prepare_data(index)
        if item is None:
            raise self._wrong(index,
                              'its pipeline returns None; expected an image')
        return item

    def check_labels(self) -> None:
        """Checks labels without loading images: all of them, or 20,000 to
        40,000 evenly spaced ones of a large dataset.

        Raises:
            InputError: for a label that is not a class; it names the image.
        """
        if self.num_classes is None or \
                not hasattr(self.dataset, 'get_data_info'):
            return
        for index in range(0, len(self), max(len(self) // _LABELS, 1)):
            label = self.dataset.get_data_info(index).get('gt_label')
            if label is not None:
                self._check_label(index, label)

    def _check_label(self, index: int, label: Any) -> None:
        if self.num_classes is None:
            return
        for value in np.ravel(label):
            if not 0 <= value < self.num_classes:
                raise self._wrong(
                    index, f'gt_label={value}: expected 0 to '
                    f'{self.num_classes - 1}, since model.head.num_classes='
                    f'{self.num_classes}')

    def _wrong(self, index: int, what: str) -> DataError:
        return DataError(f'{self.where}: {self._name(index)}: {what}')

    def _name(self, index: int) -> str:
        """An image's file, or its number if it has none."""
        try:
            path = self.dataset.get_data_info(index)['img_path']
        except Exception:  # the message being built reports the reason
            path = None
        return str(path or f'image {index} of {type(self.dataset).__name__}')


@DATASETS.register_module(name='CheckedDataset')
def checked_dataset(dataset: Dict[str, Any],
                    where: str,
                    num_classes: Optional[int] = None,
                    exact: bool = False,
                    run: Callable[[], Any] = lambda: None) -> Dataset:
    """Builds a dataset and checks what can be checked before it is used.

    Args:
        dataset: the config of the dataset.
        where, num_classes, exact: see :class:`CheckedDataset`.
        run: a weak reference to the run's Runner, whose datasets share their
            lists of images; without one, this dataset shares none.

    Returns:
        A :class:`CheckedDataset`, or an iterable dataset as it is.

    Raises:
        InputError: if the data is missing, there is no image, or a label is
            not a class.
    """
    runner = run()
    lists = SharedLists() if runner is None else SharedLists.of_run(runner)
    with lists.sharing():
        built = build_dataset(dataset)
    if isinstance(built, IterableDataset):
        return built
    if not len(built):
        raise InputError(f'{where}: {type(built).__name__} has no image; '
                         'expected at least one')
    checked = CheckedDataset(built, where, num_classes, exact)
    checked.check_labels()
    return checked


def is_cut_off(path: Optional[str]) -> bool:
    """Whether a JPEG file, by its name, ends before its image does.

    ``False`` for other names and for what is not a local file.
    """
    return path is not None and \
        str(path).lower().endswith(('.jpg', '.jpeg')) and ends_early(path)


def ends_early(path: FilePath) -> bool:
    """Whether a JPEG file ends before its image does.

    The last two bytes tell in 10 us; only if they are not the end of an image,
    Pillow decides. ``False`` for other formats and for what is not a local
    file.
    """
    try:
        with open(path, 'rb') as file:
            file.seek(-2, os.SEEK_END)
            if file.read() == b'\xff\xd9':
                return False
    except OSError:
        return False
    try:
        with Image.open(path) as image:
            image.load()
    except UnidentifiedImageError:  # not an image, whatever its name says
        return False
    except (OSError, SyntaxError):
        return True
    return False


def _one_line(reason: Any) -> str:
    return shown(' '.join(str(reason).split()), 200).strip('\'"')
