"""Layers that run at several widths, as the channels of their input demand."""

from .sliced_module import SlicedModule, slice_module, unslice_module
from .slimmable_conv import SlimmableConv2d
from .slimmable_linear import SlimmableLinear
from .slimmable_norm import SlimmableBatchNorm2d, SlimmableGroupNorm

__all__ = [
    'SlicedModule', 'SlimmableBatchNorm2d', 'SlimmableConv2d',
    'SlimmableGroupNorm', 'SlimmableLinear', 'slice_module', 'unslice_module'
]
