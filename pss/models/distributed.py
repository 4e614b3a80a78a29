"""Supernets in distributed training."""

from typing import Any, Dict, List, Optional

import torch
from mmengine.model import MMDistributedDataParallel
from torch import Tensor, nn

from ..errors import InputError
from ..registry import MODEL_WRAPPERS
from ..supernet import blank, evaluating
from .switching import SwitchableModel


@MODEL_WRAPPERS.register_module()
class SupernetDistributedDataParallel(MMDistributedDataParallel):
    """MMEngine's DDP; an iteration's passes go through DDP's forward.

    DDP sums gradients in buckets. After the first backward pass it sorts them
    anew, in the order in which gradients came. A sum over three or more
    processes depends on where in a bucket a gradient lies (a ring starts each
    part at another process), so a resumed run, whose first iteration would have
    the unsorted buckets, would not repeat an uninterrupted one bit by bit. One
    pass over a blank image, here, lets DDP sort before any training: from then
    on the buckets are the same in every run.

    If ``sync_bn='torch'`` in a config made MMEngine insert torch's
    ``SyncBatchNorm``, which has one width, the slimmable layers are put back
    and synchronise themselves.

    Args:
        module: the supernet.
        device_ids: the GPU of this process; ignored for a module on the CPU,
            for which MMEngine passes one too.
        **kwargs: as for MMEngine's class.
    """

    def __init__(self,
                 module: SwitchableModel,
                 device_ids: Optional[List] = None,
                 **kwargs) -> None:
        if next(module.parameters()).device.type == 'cpu':
            device_ids = None
        _keep_slimmable(module)
        super().__init__(module, device_ids=device_ids, **kwargs)
        self._sort_buckets()

    def _sort_buckets(self) -> None:
        """One backward pass; it leaves the supernet as it was."""
        images = blank(self.module, self.module.active_subnet.resolution)
        # in evaluation mode, without dropout or new statistics
        with evaluating(self.module), torch.enable_grad():
            self(images, mode='tensor').sum().backward()
        self.module.zero_grad(set_to_none=True)

    def train_step(self, data: Any, optim_wrapper) -> Dict[str, Tensor]:
        """See :meth:`.SupernetClassifier.train_step`."""
        return optim_wrapper.train_step(self, data)


def _keep_slimmable(supernet: SwitchableModel) -> None:
    """Puts back the slimmable batch norms that MMEngine's ``sync_bn`` replaced
    by layers with the same parameters and buffers.

    Raises:
        InputError: if one was replaced by another layer than torch's.
    """
    for name, norm in supernet.norms.items():
        found = supernet.get_submodule(name)
        if found is norm:
            continue
        if type(found) is not nn.SyncBatchNorm:
            raise InputError(
                f'sync_bn: {name} became a {type(found).__module__}.'
                f'{type(found).__name__}, which cannot change its width; '
                "expected sync_bn='torch'")
        parent, _, attribute = name.rpartition('.')
        setattr(supernet.get_submodule(parent), attribute, norm)
        norm.sync = True
