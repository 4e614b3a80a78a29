"""A backbone at the size of a detector's images: what costs are counted of."""

from typing import Any, Dict, Tuple

from torch import Tensor, nn

from ...errors import InputError
from ...structures import SearchSpace, Subnet
from .scaling import scaled_size


class BackboneAtSize(nn.Module):
    """A slimmable backbone whose images have a detector's size.

    Costs of subnets are those of the backbone, by MACs or otherwise: it is what
    differs between subnets, and neck and heads follow the scale alike.

    Args:
        backbone: the backbone.
        input_size: height and width of images at the space's largest
            resolution.
    """

    def __init__(self, backbone: nn.Module, input_size: Tuple[int,
                                                              int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.input_size = tuple(input_size)

    @property
    def search_space(self) -> SearchSpace:
        """The backbone's."""
        return self.backbone.search_space

    @property
    def active_subnet(self) -> Subnet:
        """The backbone's."""
        return self.backbone.active_subnet

    @property
    def input_channels(self) -> int:
        """The backbone's."""
        return self.backbone.input_channels

    def switch_to(self, subnet: Subnet) -> None:
        """As the backbone's."""
        self.backbone.switch_to(subnet)

    @property
    def network(self) -> Dict[str, Any]:
        """Latency tables would ask for it.

        Raises:
            InputError: always.
        """
        raise InputError('latency tables hold blocks of classifiers, not of '
                         "detectors; expected one of pss.Flops, "
                         'pss.Parameters and pss.PeakMemory')

    def image_size(self, resolution: int) -> Tuple[int, int]:
        """Height and width of images for a subnet of that resolution."""
        largest = self.search_space.largest.resolution
        return scaled_size(self.input_size, resolution / largest)

    def forward(self, images: Tensor) -> Tuple[Tensor, ...]:
        """Features of images ``(N, C, H, W)``."""
        return self.backbone(images)
