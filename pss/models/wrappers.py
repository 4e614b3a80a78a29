"""Supernets in distributed training."""

from typing import Any, Dict, List, Optional

from mmengine.model import MMDistributedDataParallel
from torch import Tensor, nn

from ..registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class SupernetDistributedDataParallel(MMDistributedDataParallel):
    """MMEngine's DDP; an iteration's passes go through DDP's forward.

    Args:
        module: the supernet.
        device_ids: the GPU of this process; ignored for a module on the CPU,
            for which MMEngine gives one all the same.
        **kwargs: as for MMEngine's class.
    """

    def __init__(self, module: nn.Module, device_ids: Optional[List] = None,
                 **kwargs) -> None:
        if next(module.parameters()).device.type == 'cpu':
            device_ids = None
        super().__init__(module, device_ids=device_ids, **kwargs)

    def train_step(self, data: Any, optim_wrapper) -> Dict[str, Tensor]:
        """As in :meth:`.SupernetClassifier.train_step`."""
        return optim_wrapper.train_step(self, data)
