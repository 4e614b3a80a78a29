"""Loading a supernet's checkpoint or bank into a backbone.

MMEngine's ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix=
'backbone.')`` then works for a backbone that is one subnet too: of every wider
tensor it takes the first channels, as the supernet does.

A bank (``checkpoint='bank://FOLDER'``) adds the statistics of every kept subnet
to the weights, under keys that :func:`statistics_key` makes. A backbone that is
one subnet takes its own; other backbones ignore them.
"""

import logging
from typing import Any, Dict, List, Optional

from mmengine.logging import print_log
from torch import Tensor

from ...errors import InputError
from ...structures import Subnet

_STATISTICS = 'kept_statistics.'


def statistics_key(subnet: Subnet, norm: str, buffer: str) -> str:
    """The key of a kept subnet's statistics in a backbone's state.

    Args:
        subnet: the subnet.
        norm: the batch norm's name in the backbone.
        buffer: ``running_mean`` or ``running_var``.
    """
    return f'{_STATISTICS}{_signature(subnet)}.{norm}.{buffer}'


def _signature(subnet: Subnet) -> str:
    return f'{subnet.resolution}x{"-".join(map(str, subnet.widths))}'


def fit_state(state: Dict[str, Any], prefix: str, mine: Dict[str, Tensor],
              subnet: Optional[Subnet]) -> None:
    """Changes a state that is about to be loaded so that it fits a backbone.

    Args:
        state: of a supernet or a bank; changed in place.
        prefix: of the backbone's keys in it.
        mine: the backbone's own state.
        subnet: that the backbone is; ``None`` for a supernet.

    Raises:
        InputError: if the state is of another architecture, or of a bank
            without the subnet.
    """
    kept = _take_statistics(state, prefix)
    found = {
        key: state[f'{prefix}{key}']
        for key in mine if isinstance(state.get(f'{prefix}{key}'), Tensor)
    }
    if subnet is None or not found:
        return  # a supernet, or the state of another network
    wider = [
        key for key, value in found.items() if value.shape != mine[key].shape
    ]
    for key in wider:
        state[f'{prefix}{key}'] = _first_channels(key, found[key], mine[key])
    if kept is not None:
        state.update(_statistics_of(subnet, kept, prefix))
    elif wider:
        print_log(
            'The checkpoint is wider than the subnet. Weights are cut out of '
            "it, but the batch-norm statistics are the largest subnet's: in "
            'training they adapt unless norm_eval or frozen_stages fix them; '
            'a bank (bank://FOLDER) has those of the subnets that it keeps',
            'current',
            level=logging.WARNING)


def _first_channels(key: str, wide: Tensor, narrow: Tensor) -> Tensor:
    """A wide tensor's first entries along the first two axes."""
    if wide.dim() != narrow.dim() or wide.shape[2:] != narrow.shape[2:] or \
            any(a < b for a, b in zip(wide.shape, narrow.shape)):
        raise InputError(
            f'checkpoint: {key} has the shape {tuple(wide.shape)}, which the '
            f"subnet's {tuple(narrow.shape)} cannot be cut from; expected a "
            'checkpoint of the same architecture')
    return wide[tuple(slice(size) for size in narrow.shape)].clone()


def _take_statistics(state: Dict[str, Any],
                     prefix: str) -> Optional[Dict[str, Tensor]]:
    """Removes what a bank adds to a state, and returns it."""
    start = f'{prefix}{_STATISTICS}'
    kept = {
        key[len(start):]: state.pop(key)
        for key in list(state) if key.startswith(start)
    }
    return kept or None


def _statistics_of(subnet: Subnet, kept: Dict[str, Tensor],
                   prefix: str) -> Dict[str, Tensor]:
    """The statistics of one kept subnet, by the keys of the network."""
    start = f'{_signature(subnet)}.'
    found = {
        f'{prefix}{key[len(start):]}': value
        for key, value in kept.items() if key.startswith(start)
    }
    if not found:
        there: List[str] = list(
            dict.fromkeys(key.split('.')[0] for key in kept))
        raise InputError(
            f'backbone.subnet: resolution={subnet.resolution}, widths='
            f'{list(subnet.widths)} is not in the bank, which has no '
            'statistics for it; expected (resolution x widths) '
            f'{", ".join(there)}')
    return found
