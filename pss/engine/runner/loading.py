"""Dataloaders whose mistakes are one clear error."""

from typing import Any

from mmengine.model import is_model_wrapper

from ...checks import check_integer


def checked(runner, dataloader: Any, where: str, exact: bool = False) -> Any:
    """A dataloader's config, with :class:`.CheckedDataset` around its dataset.

    Args:
        runner: its model says how many classes there are.
        dataloader: the config; a loader that is built already stays as it is.
        where: the field of the config, for messages.
        exact: as for ``CheckedDataset``.

    Raises:
        InputError: for numbers of images or workers that cannot be.
    """
    if not isinstance(dataloader, dict):
        return dataloader
    for key, least in (('batch_size', 1), ('num_workers', 0)):
        if key in dataloader:
            check_integer(f'{where}.{key}', dataloader[key], least)
    dataset = dataloader.get('dataset')
    if not isinstance(dataset, dict):
        return dataloader
    return {
        **dataloader, 'dataset':
        dict(
            type='pss.CheckedDataset',
            dataset=dataset,
            where=where,
            exact=exact,
            num_classes=_num_classes(runner.model))
    }


def _num_classes(model: Any) -> Any:
    """Of a classifier; ``None`` of what is none."""
    model = model.module if is_model_wrapper(model) else model
    num = getattr(getattr(model, 'head', None), 'num_classes', None)
    return num if isinstance(num, int) else None
