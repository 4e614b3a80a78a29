"""Checks of dataloaders: every mistake is one clear error."""

from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ...checks import check_integer


def checked(runner: Runner,
            dataloader: Any,
            where: str,
            exact: bool = False) -> Any:
    """Returns a dataloader's config with :class:`.CheckedDataset` around its
    dataset.

    Args:
        runner: its model has the number of classes.
        dataloader: the config; a loader that is already built is returned
            unchanged.
        where: the field of the config, for messages.
        exact: as for ``CheckedDataset``.

    Raises:
        InputError: for impossible numbers of images or workers.
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
    """Returns a classifier's number of classes, ``None`` for other models."""
    model = model.module if is_model_wrapper(model) else model
    num = getattr(getattr(model, 'head', None), 'num_classes', None)
    return num if isinstance(num, int) else None
