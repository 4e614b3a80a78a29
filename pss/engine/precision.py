"""Mixed precision, the same in training and in evaluation."""

from contextlib import nullcontext
from typing import Any, ContextManager, Optional

import torch
from mmengine.device import get_device

from ..checks import check_choice

AMP_TYPES = {None: None, 'float16': torch.float16, 'bfloat16': torch.bfloat16}


def amp_type(name: Optional[str]) -> Optional[torch.dtype]:
    """The type that a config's ``amp`` names; ``None`` for float32.

    Raises:
        InputError: for another name.
    """
    return AMP_TYPES[check_choice('amp', name, AMP_TYPES)]


def default_amp() -> str:
    """What ``--amp`` and ``fp16=True`` mean: float16 on a GPU, bfloat16 on a
    CPU."""
    return 'bfloat16' if get_device() == 'cpu' else 'float16'


def mixed_precision(dtype: Optional[torch.dtype]) -> ContextManager[Any]:
    """Autocast to ``dtype`` on the device that MMEngine uses; nothing for
    ``None``.

    MMEngine's ``autocast`` allows only bfloat16 on a CPU, and takes no type
    from its loops.
    """
    return nullcontext() if dtype is None else \
        torch.autocast(get_device(), dtype)
