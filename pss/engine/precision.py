"""Mixed precision, the same in training and evaluation."""

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
    """The type for ``--amp`` and ``fp16=True``: float16 on a GPU, bfloat16 on a
    CPU."""
    return 'bfloat16' if get_device() == 'cpu' else 'float16'


def mixed_precision(dtype: Optional[torch.dtype]) -> ContextManager[Any]:
    """Autocasts to ``dtype`` on MMEngine's device; does nothing for ``None``.

    MMEngine's ``autocast`` allows only bfloat16 on a CPU, and its loops cannot
    choose a type.
    """
    return nullcontext() if dtype is None else \
        torch.autocast(get_device(), dtype)


def grad_scaler(enabled: bool) -> Any:
    """torch's loss scaler on MMEngine's device; does nothing if disabled. It
    moved in torch 2.3."""
    if hasattr(torch.amp, 'GradScaler'):
        return torch.amp.GradScaler(get_device(), enabled=enabled)
    return torch.cuda.amp.GradScaler(enabled=enabled)
