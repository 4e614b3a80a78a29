"""A bank in the form of a checkpoint."""

from pathlib import Path
from typing import Any, Dict, Union

import torch
from torch import Tensor

from ..models.backbones.loading import statistics_key
from .bank import read_bank


def bank_checkpoint(folder: Union[str, Path],
                    map_location: Any = None) -> Dict[str, Any]:
    """The weights of a bank, and the statistics of every kept subnet.

    Args:
        folder: the bank's.
        map_location: a device, or what :func:`torch.load` takes for one.

    Returns:
        ``meta`` and ``state_dict``. The latter has the keys of the supernet,
        with the largest subnet's running statistics, and besides, for the
        backbone, :func:`.statistics_key`'s.

    Raises:
        InputError: for a bank that is not whole.
    """
    bank = read_bank(folder)
    state: Dict[str, Tensor] = dict(bank.weights)
    largest = next(kept.subnet for kept in bank.kept if kept.name == 'largest')
    for name, (mean, var) in bank.statistics[largest].items():
        state.update({
            f'{name}.running_mean': mean,
            f'{name}.running_var': var,
            f'{name}.num_batches_tracked': torch.tensor(0)
        })
    start = 'backbone.'
    for subnet, statistics in bank.statistics.items():
        for name, (mean, var) in statistics.items():
            if name.startswith(start):
                norm = name[len(start):]
                for buffer, value in (('running_mean', mean), ('running_var',
                                                               var)):
                    key = statistics_key(subnet, norm, buffer)
                    state[f'{start}{key}'] = value
    if map_location is not None and not callable(map_location):
        state = {key: value.to(map_location) for key, value in state.items()}
    return dict(meta=dict(bank=str(folder)), state_dict=state)
