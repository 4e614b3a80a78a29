"""How images and weights lie in memory."""

from typing import Union

import torch
from mmengine.device import get_device

from ..checks import check_boolean, shown
from ..errors import InputError


def memory_format_of(channels_last: Union[bool, str]) -> torch.memory_format:
    """The memory format that a model asks for.

    Args:
        channels_last: ``True`` or ``False``; or ``'auto'``, which is true where
            MMEngine trains on a CPU: benchmarks/train_iteration.py has what it
            is worth there. On GPUs nothing was measured, so it is false.

    Raises:
        InputError: for anything else.
    """
    if isinstance(channels_last, str):
        if channels_last != 'auto':
            raise InputError(f'channels_last={shown(channels_last)}: expected '
                             "True or False, or 'auto'")
        channels_last = get_device() == 'cpu'
    check_boolean('channels_last', channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format
