"""Holding out images of the training set, for choosing subnets."""

import copy
from typing import Any, Dict

import numpy as np
from mmengine.dataset import BaseDataset

from ..checks import check_integer
from ..errors import InputError
from ..registry import DATASETS
from .building import naming, read_dataset
from .shared_lists import build_shared, list_key


@DATASETS.register_module(name='HeldOutSplit')
def held_out_split(dataset: Dict[str, Any], every: int,
                   held_out: bool) -> BaseDataset:
    """One of the two parts of a training set: for training, or held out.

    One image in ``every`` is held out, at least one. They are evenly spaced, so
    that datasets that list one class after another, such as ImageNet, lose the
    same share of every class.

    Args:
        dataset: the config of the whole dataset; both parts need the same one,
            but for the pipeline.
        every: one image in so many is held out.
        held_out: which part: those images, or all others.

    Raises:
        InputError: if ``every`` is not an integer of at least 2, the data is
            missing, or a part would be empty.
    """
    check_integer('every', every, 2)
    with naming(dataset):
        key = list_key(dataset)
        if key is not None:
            return build_shared(dataset, (key, every),
                                lambda: _parts(dataset, every), held_out)
        whole = read_dataset(dataset)
    chosen = _held_out(dataset, len(whole), every) == held_out
    # in place: MMEngine 0.10's get_subset() copies with a memo that it shares
    # between calls, and may return parts of a dataset that no longer exists
    whole.get_subset_(np.flatnonzero(chosen).tolist())
    return whole


def _held_out(dataset: Dict[str, Any], num: int, every: int) -> np.ndarray:
    """Which of ``num`` images are held out."""
    if num < 2:
        raise InputError(f'{dataset["type"]}: {num} images cannot be split; '
                         'expected at least 2')
    parts = max(num // every, 1)
    chosen = np.zeros(num, bool)
    chosen[(2 * np.arange(parts) + 1) * num // (2 * parts)] = True
    return chosen


def _parts(dataset: Dict[str, Any], every: int) -> Dict[Any, Any]:
    """Both parts of a dataset whose list is in arrays; the same as its
    ``get_subset_`` gives, which handles one image after another."""
    whole = read_dataset(dataset)
    chosen = _held_out(dataset, len(whole), every)
    sizes = np.diff(whole.data_address, prepend=0)
    parts = {}
    for held_out in (False, True):
        of_part = chosen == held_out
        part = parts[held_out] = copy.copy(whole)
        part.data_bytes = whole.data_bytes[np.repeat(of_part, sizes)]
        part.data_address = np.cumsum(sizes[of_part])
    return parts
