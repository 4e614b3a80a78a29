"""Images of the training set that are not trained on."""

from typing import Any, Dict

from mmengine.dataset import BaseDataset

from ..errors import InputError
from ..registry import DATASETS
from .checked import build_dataset


@DATASETS.register_module(name='HeldOutSplit')
def held_out_split(dataset: Dict[str, Any], every: int,
                   held_out: bool) -> BaseDataset:
    """One of the two parts that a training set is split into.

    One in ``every`` images is held out (at least one), evenly spaced: datasets
    that list one class after the other, as ImageNet's do, so lose the same
    share of every class.

    Args:
        dataset: config of a dataset; the same one for both parts but for the
            pipeline.
        every: one image in so many is held out.
        held_out: which part: those images, or all others.

    Raises:
        InputError: if the data is not there, or a part would be empty.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 2:
        raise InputError(f'every={every!r} must be an integer of at least 2')
    whole = build_dataset(dataset)
    num = len(whole)
    if num < 2:
        raise InputError(f'{dataset["type"]}: {num} images cannot be split')
    parts = max(num // every, 1)
    spaced = {(2 * k + 1) * num // (2 * parts) for k in range(parts)}
    chosen = [i for i in range(num) if (i in spaced) == held_out]
    # in place: get_subset() copies with a memo that MMEngine 0.10 shares
    # between calls, and so may return parts of datasets that are long gone
    whole.get_subset_(chosen)
    return whole
