"""A backbone at the size of a detector's images: costs are counted on it."""

from typing import Any, Dict, List, Tuple

from torch import Tensor, nn

from ...errors import InputError
from ...structures import SearchSpace, Subnet
from ...supernet import Block, Supernet
from .scaling import Size, scaled_size


class BackboneAtSize(nn.Module):
    """A slimmable backbone whose images have a detector's size.

    A detector's subnets cost what the backbone costs, in FLOPs or otherwise:
    subnets differ in the backbone, while neck and heads all follow the scale.

    Args:
        backbone: a :class:`.SlimmableBackbone`.
        input_size: height and width of images at the space's largest
            resolution.
    """
    backbone: Any

    def __init__(self, backbone: Supernet, input_size: Size) -> None:
        super().__init__()
        self.backbone = backbone
        self.input_size = tuple(input_size)

    @property
    def search_space(self) -> SearchSpace:
        """The backbone's."""
        return self.backbone.search_space

    @property
    def costed(self) -> 'BackboneAtSize':
        """The same, since subnets' costs are counted on it."""
        return self

    @property
    def active_subnet(self) -> Subnet:
        """The backbone's."""
        return self.backbone.active_subnet

    @property
    def input_channels(self) -> int:
        """The backbone's."""
        return self.backbone.input_channels

    def switch_to(self, subnet: Subnet) -> None:
        """Switches the backbone."""
        self.backbone.switch_to(subnet)

    @property
    def network(self) -> Dict[str, Any]:
        """Only latency tables need it.

        Raises:
            InputError: always.
        """
        raise _no_latency()

    def blocks(self) -> List[Block]:
        """Only latency tables need them.

        Raises:
            InputError: always.
        """
        raise _no_latency()

    def image_size(self, resolution: int) -> Size:
        """Height and width of images for a subnet of that resolution."""
        largest = self.search_space.largest.resolution
        height, width = self.input_size
        return scaled_size((height, width), resolution / largest)

    def forward(self, images: Tensor) -> Tuple[Tensor, ...]:
        """Features of images ``(N, C, H, W)``."""
        return self.backbone(images)


def _no_latency() -> InputError:
    return InputError('latency tables hold blocks of classifiers, not of '
                      'detectors; expected one of pss.Flops, pss.Parameters '
                      'and pss.PeakMemory')
