"""A convolution that runs with its first channels.

Slimmable layers: Yu et al., "Slimmable Neural Networks", ICLR 2019.
"""

from typing import Any, Tuple

from torch import Tensor, nn
from torch.nn import functional as F

from ...registry import MODELS


def active_sizes(conv: Any, channels_in: int) -> Tuple[int, int, int]:
    """What a convolution runs with, given the channels of its input.

    Returns:
        Channels out, input channels of each filter, groups.
    """
    if conv.full_groups == 1:
        return conv.active_out_channels, channels_in, 1
    per_group = conv.in_channels // conv.full_groups
    groups = channels_in // per_group
    return groups * conv.out_channels // conv.full_groups, per_group, groups


@MODELS.register_module()
class SlimmableConv2d(nn.Conv2d):
    """A 2D convolution that runs with the first channels of its weight.

    The input determines how many go in. A convolution with groups, such as a
    depthwise one, runs the groups that the input reaches; any other returns
    ``active_out_channels``, all of them unless a supernet sets fewer.

    Args:
        args, kwargs: as for :class:`torch.nn.Conv2d`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.active_out_channels = self.out_channels

    @property
    def full_groups(self) -> int:
        """Groups at full width."""
        return self.groups

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel has its own filter."""
        return self.groups == self.in_channels == self.out_channels > 1

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C_out, H', W')``."""
        channels_out, per_group, groups = active_sizes(self, x.shape[1])
        weight, bias = self.weight, self.bias
        if weight.shape[:2] != (channels_out, per_group):
            weight = weight[:channels_out, :per_group]
            bias = None if bias is None else bias[:channels_out]
        if self._is_miscomputed(x):
            down, right = self.stride
            x = x[:, :, ::down, ::right]
            return F.conv2d(x, weight, bias, 1, 0, 1, groups)
        if self.padding_mode == 'zeros':
            return F.conv2d(x, weight, bias, self.stride, self.padding,
                            self.dilation, groups)
        x = F.pad(x, self._reversed_padding_repeated_twice, self.padding_mode)
        return F.conv2d(x, weight, bias, self.stride, 0, self.dilation, groups)

    def _is_miscomputed(self, x: Tensor) -> bool:
        """Whether oneDNN would write past its buffer and return a wrong
        gradient of the weight.

        It does for 1 x 1 filters with a stride whose input lies channels last
        and has fewer channels than a vector register has numbers, at most 16
        (uxlfoundation/oneDNN, issue 6035).
        """
        return (x.device.type == 'cpu' and x.shape[1] < 16
                and self.kernel_size == (1, 1) and self.stride != (1, 1)
                and self.padding in ((0, 0), 'valid'))
