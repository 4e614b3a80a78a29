"""What switching a supernet to a subnet does to its batch norms."""

from typing import Any, Dict, Optional, Protocol, Tuple

from torch import Tensor, nn

from ..structures import Subnet
from ..supernet import Supernet
from .layers import SlimmableBatchNorm2d

# For each batch norm, by module name: mean and variance, each (C, ).
Statistics = Dict[str, Tuple[Tensor, Tensor]]


class SwitchableModel(Supernet, Protocol):
    """A classifier or a detector around a slimmable backbone.

    Attributes:
        backbone: see :class:`.SlimmableBackbone`.
        norms: the slimmable batch norms by module name.
        active_subnet: the subnet that the next forward pass runs.
        memory_format: how images lie in memory.
    """
    norms: Dict[str, SlimmableBatchNorm2d]
    active_subnet: Subnet
    memory_format: Any

    @property
    def backbone(self) -> Any:
        """The backbone."""

    def switch_to(self,
                  subnet: Subnet,
                  statistics: Optional[Statistics] = None) -> None:
        """Makes the next forward passes run a subnet, see :func:`switch`."""

    def run_norms(self, inputs: Tensor) -> None:
        """Runs all layers that have statistics on images ``(N, C, H, W)``, to
        calibrate them."""


def slimmable_norms(model: nn.Module) -> Dict[str, SlimmableBatchNorm2d]:
    """The slimmable batch norms of a network, by module name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, SlimmableBatchNorm2d)
    }


def switch(model: SwitchableModel,
           subnet: Subnet,
           statistics: Optional[Statistics] = None) -> None:
    """Makes the next forward passes of a supernet run ``subnet``.

    Args:
        model: the supernet.
        subnet: a subnet of its space.
        statistics: the subnet's batch-norm statistics, see
            :func:`.calibrate`. Without them evaluation uses the
            running statistics, which are the largest subnet's: training
            updates them only while that is active.

    Raises:
        InputError: if the subnet is not in the space.
    """
    model.backbone.switch_to(model.search_space.validate(subnet))
    tracks = statistics is not None or subnet == model.search_space.largest
    for name, norm in model.norms.items():
        norm.statistics = None if statistics is None else statistics[name]
        norm.track_running_stats = tracks
    model.active_subnet = subnet
