"""A bank in the form of a checkpoint."""

from typing import Any, Dict

from ..files import FilePath
from ..models.backbones.loading import statistics_key
from .bank_reading import read_bank


def bank_checkpoint(folder: FilePath,
                    map_location: Any = None) -> Dict[str, Any]:
    """The weights of a bank, and the statistics of every kept subnet.

    Args:
        folder: the bank's.
        map_location: a device or anything else that :func:`torch.load` accepts.

    Returns:
        ``meta`` and ``state_dict``. The latter has the supernet's keys, with
        the largest subnet's running statistics, and for every kept subnet the
        backbone's statistics under the keys of :func:`.statistics_key`.

    Raises:
        InputError: if the bank cannot be read, see :func:`.read_bank`.
    """
    bank = read_bank(folder)
    largest = next(kept.subnet for kept in bank.kept if kept.name == 'largest')
    state = bank.state_dict(largest)
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
