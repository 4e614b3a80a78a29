"""Holding out images of the training set, for choosing subnets."""

from typing import Any, Dict

from mmengine.dataset import BaseDataset

from ..checks import check_integer
from ..errors import InputError
from ..registry import DATASETS
from .checked import build_dataset


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
    whole = build_dataset(dataset)
    num = len(whole)
    if num < 2:
        raise InputError(f'{dataset["type"]}: {num} images cannot be split; '
                         'expected at least 2')
    parts = max(num // every, 1)
    spaced = {(2 * k + 1) * num // (2 * parts) for k in range(parts)}
    chosen = [i for i in range(num) if (i in spaced) == held_out]
    # in place: MMEngine 0.10's get_subset() copies with a memo that it shares
    # between calls, and may return parts of a dataset that no longer exists
    whole.get_subset_(chosen)
    return whole
