"""Images of the training set that are not trained on."""

from typing import Any, Dict

from mmengine.dataset import BaseDataset

from ..errors import InputError
from ..registry import DATASETS


@DATASETS.register_module(name='HeldOutSplit')
def held_out_split(dataset: Dict[str, Any], every: int,
                   held_out: bool) -> BaseDataset:
    """One of the two parts that a training set is split into.

    Every ``every``-th image is held out. Datasets that list one class after
    the other, as ImageNet's do, so lose the same share of every class.

    Args:
        dataset: config of a dataset; the same one for both parts but for the
            pipeline.
        every: one image in so many is held out.
        held_out: which part: those images, or all others.

    Raises:
        InputError: if a part would be empty.
    """
    whole = DATASETS.build(dataset)
    whole.full_init()
    if isinstance(every, bool) or not isinstance(every, int) \
            or not 2 <= every <= len(whole):
        raise InputError(f'every={every!r} must be an integer from 2 to the '
                         f'number of images, {len(whole)}')
    chosen = [i for i in range(len(whole))
              if (i % every == every - 1) == held_out]
    # in place: get_subset() copies with a memo that MMEngine 0.10 shares
    # between calls, and so may return parts of datasets that are long gone
    whole.get_subset_(chosen)
    return whole
