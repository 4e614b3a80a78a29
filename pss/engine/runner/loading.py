"""Dataloaders: every mistake is one clear error, and signals end no worker."""

import os
import signal
import weakref
from functools import partial
from typing import Any, Callable, Optional

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
        **dataloader,
        'dataset':
        dict(
            type='pss.CheckedDataset',
            dataset=dataset,
            where=where,
            exact=exact,
            # weak, so that MMEngine's copy of the config has the same
            run=weakref.ref(runner),
            num_classes=_num_classes(runner.model))
    }


def _num_classes(model: Any) -> Any:
    """Returns a classifier's number of classes, ``None`` for other models."""
    model = model.module if is_model_wrapper(model) else model
    num = getattr(getattr(model, 'head', None), 'num_classes', None)
    return num if isinstance(num, int) else None


def outliving(loader: Any) -> Any:
    """Lets the processes that load a dataloader's images outlive one SIGTERM.

    Slurm, ``timeout`` and shells send it to all processes of a job. If these
    ended at once, the one that trains could not finish its iteration and write
    a checkpoint. When that one ends, so do they.

    Returns:
        The loader, whose ``worker_init_fn`` does so first.
    """
    loader.worker_init_fn = partial(
        _begin_worker, then=getattr(loader, 'worker_init_fn', None))
    return loader


def _begin_worker(number: int, then: Optional[Callable[[int], Any]]) -> None:
    signal.signal(signal.SIGTERM, _outlive)
    if then is not None:
        then(number)


def _outlive(number: int, frame: Any) -> None:
    """The first signal does nothing; the next one, which may be the parent's at
    its exit, ends the process in order, as torch's own handler does."""
    signal.signal(number, lambda *_: os._exit(0))
