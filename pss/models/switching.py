"""What switching a supernet to a subnet does to its batch norms."""

from typing import Dict, Optional, Tuple

from torch import Tensor, nn

from ..structures import Subnet
from .layers import SlimmableBatchNorm2d

# For each batch norm, by module name: mean and variance, each (C, ).
Statistics = Dict[str, Tuple[Tensor, Tensor]]


def slimmable_norms(model: nn.Module) -> Dict[str, SlimmableBatchNorm2d]:
    """The slimmable batch norms of a network, by module name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, SlimmableBatchNorm2d)
    }


def switch(model: nn.Module,
           subnet: Subnet,
           statistics: Optional[Statistics] = None) -> None:
    """Makes the next forward passes of a supernet run ``subnet``.

    Args:
        model: with ``search_space``, ``backbone`` and ``norms``; gets
            ``active_subnet``.
        subnet: a subnet of its space.
        statistics: its batch-norm statistics, see
            :func:`pss.models.calibrate`. Without them evaluation uses the
            running statistics, which are the largest subnet's: training
            updates them only while that is active.

    Raises:
        InputError: for a subnet that is not in the space.
    """
    model.backbone.switch_to(model.search_space.validate(subnet))
    tracks = statistics is not None or subnet == model.search_space.largest
    for name, norm in model.norms.items():
        norm.statistics = None if statistics is None else statistics[name]
        norm.track_running_stats = tracks
    model.active_subnet = subnet
