"""MobileNetV2 whose stages run at several widths.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR
2018; the space is the one of PSS-Net, arXiv 2109.05432.
"""

from typing import List, Optional, Sequence

import torch
from mmpretrain.models.backbones import MobileNetV2
from mmpretrain.models.backbones.mobilenet_v2 import InvertedResidual
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...checks import check_choice, shown
from ...errors import InputError
from ...registry import MODELS
from ...supernet import Block
from .slimmable_backbone import (
    SLIMMABLE_CONVS,
    SLIMMABLE_NORMS,
    Drive,
    SlimmableBackbone,
    conv_block,
    slimmable_cfg,
)


class SlimmableInvertedResidual(InvertedResidual):
    """mmpretrain's block with a shortcut between any numbers of channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C_out, H', W')``."""

        def inner(x: Tensor) -> Tensor:
            out = self.conv(x)
            if not self.use_res_connect:
                return out
            if out.shape[1] == x.shape[1]:
                return x + out
            shared = min(x.shape[1], out.shape[1])
            return torch.cat([x[:, :shared] + out[:, :shared], out[:, shared:]],
                             dim=1)

        if self.with_cp and x.requires_grad:
            return checkpoint(inner, x, use_reentrant=False)
        return inner(x)


@MODELS.register_module()
class SlimmableMobileNetV2(SlimmableBackbone, MobileNetV2):
    """mmpretrain's MobileNetV2 with slimmable layers plugged in.

    Its state dict has the same keys and shapes, so checkpoints load in both
    directions; at the largest subnet it computes the same.

    The space has 8 widths: the stem, and the output of each of the 7 stages,
    which the blocks of a stage share; or, with ``search_space.unit='block'``,
    the stem and the output of each of the 17 blocks. Hidden channels are always
    the expansion ratio times the block's input; the last convolution keeps its
    width. A shortcut whose ends have different numbers of channels carries the
    first ones that both have (He et al., CVPR 2016, option A).

    Args:
        conv_cfg, norm_cfg: as for mmpretrain's class; the types are replaced
            by their slimmable counterparts.
        search_space: see :func:`.build_space`; also ``unit``, which is
            ``'stage'`` (the paper's) or ``'block'``.
        subnet: the subnet whose plain network to build, instead of a supernet.
        strides: strides of the stem and the 7 stages, for small images.
            Defaults to the paper's 2, 1, 2, 2, 2, 1, 2, 1.
        **kwargs: as for mmpretrain's class.

    Attributes:
        search_space (SearchSpace): its widths are in the order above.

    Raises:
        InputError: if a type of layers has no slimmable counterpart, strides
            are not 8 of 1 and 2, or the space or the subnet is impossible.
    """

    def __init__(self,
                 *args,
                 conv_cfg: Optional[dict] = None,
                 norm_cfg: dict = dict(type='BN'),
                 search_space: Optional[dict] = None,
                 subnet: Optional[dict] = None,
                 strides: Optional[Sequence[int]] = None,
                 **kwargs) -> None:
        if strides is not None:
            if len(strides) != 8 or not set(strides) <= {1, 2}:
                raise InputError(f'strides={shown(strides)}: expected 8 of 1 '
                                 'and 2, for the stem and the 7 stages')
            self.arch_settings = [[
                *setting[:3], stride
            ] for setting, stride in zip(MobileNetV2.arch_settings, strides[1:])
                                  ]
        space = dict(search_space or {})
        unit = space.pop('unit', 'stage')
        check_choice('search_space.unit', unit, ('stage', 'block'))
        super().__init__(
            *args,
            conv_cfg=slimmable_cfg(conv_cfg, SLIMMABLE_CONVS, 'conv_cfg'),
            norm_cfg=slimmable_cfg(norm_cfg, SLIMMABLE_NORMS, 'norm_cfg'),
            **kwargs)
        if strides is not None:
            self.conv1.conv.stride = (strides[0], strides[0])
        self.input_channels = self.conv1.conv.in_channels
        self.finish(self._find_drives(unit), space, subnet)

    def make_layer(self, *args, **kwargs) -> nn.Sequential:
        """As in mmpretrain's class; the blocks' shortcuts can be narrow."""
        layer = super().make_layer(*args, **kwargs)
        for block in layer:
            block.__class__ = SlimmableInvertedResidual
        return layer

    def _find_drives(self, unit: str) -> List[Drive]:
        """The convolutions that the widths drive."""
        drives = [Drive(self.conv1.conv, 0)]
        previous = width = 0
        for ratio, layer_name in zip((s[0] for s in self.arch_settings),
                                     self.layers):
            for i, block in enumerate(getattr(self, layer_name)):
                if i == 0 or unit == 'block':
                    width += 1
                convs = [module.conv for module in block.conv]
                if len(convs) == 3:
                    drives.append(Drive(convs[0], previous, ratio))
                drives.append(Drive(convs[-1], width))
                previous = width
        return drives

    def blocks(self) -> List[Block]:
        """The parts that latency tables hold, in order."""
        blocks = [
            Block(
                'MBV2Block',
                block,
                inner=block.conv[0].conv,
                stride=block.stride,
                shortcut='identity' if block.use_res_connect else None)
            for name in self.layers if name != 'conv2'
            for block in getattr(self, name)
        ]
        return [conv_block(self.conv1), *blocks, conv_block(self.conv2)]
