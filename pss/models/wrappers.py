"""Supernets in distributed training."""

from typing import Any, Dict

from mmengine.model import MMDistributedDataParallel
from torch import Tensor

from ..registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class SupernetDistributedDataParallel(MMDistributedDataParallel):
    """MMEngine's DDP; an iteration's passes go through DDP's forward."""

    def train_step(self, data: Any, optim_wrapper) -> Dict[str, Tensor]:
        """As in :meth:`.SupernetClassifier.train_step`."""
        return optim_wrapper.train_step(self, data)
