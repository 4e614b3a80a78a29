"""A linear layer that runs with its first features."""

from typing import Optional

from torch import Tensor, nn
from torch.nn import functional as F

from ...registry import MODELS


@MODELS.register_module()
class SlimmableLinear(nn.Linear):
    """A linear layer that runs with the first features of its weight.

    The input determines how many go in; ``active_out_channels`` come out,
    all of them unless a supernet sets fewer.

    Args:
        args, kwargs: as for :class:`torch.nn.Linear`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.active_out_channels = self.out_features

    @property
    def out_channels(self) -> int:
        """Features that come out at full width."""
        return self.out_features

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(..., F_in)`` to ``(..., F_out)``."""
        sizes = (self.active_out_channels, x.shape[-1])
        weight: Tensor = self.weight
        bias: Optional[Tensor] = self.bias
        if weight.shape != sizes:
            weight = weight[:sizes[0], :sizes[1]]
            bias = None if bias is None else bias[:sizes[0]]
        return F.linear(x, weight, bias)
