"""MobileNetV1 whose layers run at several widths.

Howard et al., "MobileNets", arXiv 1704.04861; the space is the one of PSS-Net,
arXiv 2109.05432.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ...registry import MODELS
from ...structures import make_divisible
from ...supernet import Block
from .slimmable_backbone import (
    SLIMMABLE_CONVS,
    SLIMMABLE_NORMS,
    Drive,
    SlimmableBackbone,
    conv_block,
    slimmable_cfg,
)


class MBV1Block(DepthwiseSeparableConvModule):
    """mmcv's depthwise and pointwise convolution, with checkpointing.

    Args:
        with_cp: whether to recompute activations in the backward pass.
        args, kwargs: as for ``DepthwiseSeparableConvModule``.
    """

    def __init__(self, *args, with_cp: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C_out, H', W')``."""
        if self.with_cp and x.requires_grad:
            return checkpoint(super().forward, x, use_reentrant=False)
        return super().forward(x)


@MODELS.register_module()
class SlimmableMobileNetV1(SlimmableBackbone, BaseBackbone):
    """MobileNetV1 of slimmable layers, with the arguments of mmpretrain's
    backbones.

    The space has 14 widths: the stem, and the output of the pointwise
    convolution of each of the 13 blocks.

    Args:
        widen_factor: multiplies the channels of every layer, rounded to
            multiples of 8.
        out_indices: stages whose features are returned, of 0 to 4. A stage
            ends where the next block has stride 2; from 224 pixels they have
            112, 56, 28, 14, 7.
        frozen_stages: last stage whose parameters are fixed; 0 is the stem
            alone, -1 fixes none.
        conv_cfg, norm_cfg, act_cfg: configs of the layers; types of
            convolutions and norms are replaced by their slimmable counterparts.
            The published network activates with ReLU6.
        norm_eval: whether batch norms stay in evaluation mode in training.
        with_cp: whether to recompute activations in the backward pass, to save
            memory.
        search_space: see :func:`.build_space`.
        subnet: the subnet whose plain network to build, instead of a supernet.
        init_cfg: how to initialise.

    Attributes:
        search_space (SearchSpace): its widths are in the order above.

    Raises:
        InputError: if a type of layers has no slimmable counterpart, or the
            space or the subnet is impossible.
    """

    # for each stage, channels and stride of its blocks
    arch_settings = (
        ((64, 1), ),
        ((128, 2), (128, 1)),
        ((256, 2), (256, 1)),
        ((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
        ((1024, 2), (1024, 1)),
    )

    def __init__(
        self,
        widen_factor: float = 1.,
        out_indices: Sequence[int] = (4, ),
        frozen_stages: int = -1,
        conv_cfg: Optional[dict] = None,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='ReLU6'),
        norm_eval: bool = False,
        with_cp: bool = False,
        search_space: Optional[dict] = None,
        subnet: Optional[dict] = None,
        init_cfg=[
            dict(type='Kaiming', layer=['Conv2d']),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm'])
        ]
    ) -> None:
        super().__init__(init_cfg)
        stages = len(self.arch_settings)
        for index in out_indices:
            if index not in range(stages):
                raise ValueError(f'the item in out_indices must be in '
                                 f'range(0, {stages}). But received {index}')
        if frozen_stages not in range(-1, stages + 1):
            raise ValueError(f'frozen_stages must be in range(-1, '
                             f'{stages + 1}). But received {frozen_stages}')
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        layer_cfg: Dict[str, Any] = dict(
            conv_cfg=slimmable_cfg(conv_cfg, SLIMMABLE_CONVS, 'conv_cfg'),
            norm_cfg=slimmable_cfg(norm_cfg, SLIMMABLE_NORMS, 'norm_cfg'),
            act_cfg=act_cfg)

        def scaled(channels):
            return make_divisible(channels * widen_factor)

        channels = scaled(32)
        self.conv1 = ConvModule(3, channels, 3, 2, 1, **layer_cfg)
        self.layers: List[str] = []
        drives = [Drive(self.conv1.conv, 0)]
        for i, blocks in enumerate(self.arch_settings, start=1):
            layer = nn.Sequential()
            for width, stride in blocks:
                block = MBV1Block(
                    channels,
                    scaled(width),
                    3,
                    stride,
                    1,
                    with_cp=with_cp,
                    **layer_cfg)
                layer.append(block)
                channels = scaled(width)
                drives.append(Drive(block.pointwise_conv.conv, len(drives)))
            self.layers.append(f'layer{i}')
            self.add_module(self.layers[-1], layer)
        self.input_channels = 3
        self.finish(drives, search_space, subnet)

    def blocks(self) -> List[Block]:
        """The parts that latency tables hold, in order."""
        return [
            conv_block(self.conv1), *(Block(
                'MBV1Block', block, stride=block.depthwise_conv.conv.stride[0])
                                      for name in self.layers
                                      for block in getattr(self, name))
        ]

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Features ``(N, C, H, W)`` of the stages in ``out_indices``."""
        x = self.conv1(x)
        outs = []
        for i, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def train(self, mode: bool = True) -> nn.Module:
        """Sets the mode; frozen stages stay in evaluation."""
        super().train(mode)
        frozen = [self.conv1, *(getattr(self, n) for n in self.layers)]
        for module in frozen[:self.frozen_stages + 1]:
            module.eval()
            module.requires_grad_(False)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
