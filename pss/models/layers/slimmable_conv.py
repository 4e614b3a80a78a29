"""A convolution that runs with its first channels.

Slimmable layers: Yu et al., "Slimmable Neural Networks", ICLR 2019.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from ...registry import MODELS


@MODELS.register_module()
class SlimmableConv2d(nn.Conv2d):
    """A 2D convolution that runs with the first channels of its weight.

    The input determines how many go in. A depthwise convolution returns as
    many; any other returns :attr:`active_out_channels`, all of them unless a
    supernet sets fewer.

    Args:
        *args, **kwargs: as for :class:`torch.nn.Conv2d`. ``groups`` is 1 or
            the number of channels; other groupings only run at full width.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.active_out_channels = self.out_channels

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel has its own filter."""
        return self.groups == self.in_channels == self.out_channels > 1

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C_out, H', W')``."""
        channels_in = x.shape[1]
        if self.is_depthwise:
            channels_out, per_group, groups = channels_in, 1, channels_in
        else:
            channels_out, groups = self.active_out_channels, self.groups
            per_group = channels_in // groups
        weight, bias = self.weight, self.bias
        if weight.shape[:2] != (channels_out, per_group):
            weight = weight[:channels_out, :per_group]
            bias = None if bias is None else bias[:channels_out]
        if self.padding_mode == 'zeros':
            return F.conv2d(x, weight, bias, self.stride, self.padding,
                            self.dilation, groups)
        x = F.pad(x, self._reversed_padding_repeated_twice, self.padding_mode)
        return F.conv2d(x, weight, bias, self.stride, 0, self.dilation, groups)
