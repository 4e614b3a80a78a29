"""Layers that run at several widths, as the channels of their input demand."""

from .slimmable_conv import SlimmableConv2d
from .slimmable_linear import SlimmableLinear
from .slimmable_norm import SlimmableBatchNorm2d, SlimmableGroupNorm

__all__ = [
    'SlimmableBatchNorm2d', 'SlimmableConv2d', 'SlimmableGroupNorm',
    'SlimmableLinear'
]
