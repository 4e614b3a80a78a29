"""ResNets whose layers run at several widths.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. The paper
of PSS-Net uses ResNet-50, but its space is not public: the one here is ours.
"""

from typing import Any, Dict, List, Optional

from mmpretrain.models.backbones import ResNet
from torch import nn

from ...registry import MODELS
from ...supernet import Block
from ..layers import SlimmableConv2d
from .slimmable_backbone import (
    SLIMMABLE_CONVS,
    SLIMMABLE_NORMS,
    Drive,
    SlimmableBackbone,
    slimmable_cfg,
)


@MODELS.register_module()
class SlimmableResNet(SlimmableBackbone, ResNet):
    """mmpretrain's ResNet with slimmable layers plugged in.

    Its state dict has the same keys and shapes, so checkpoints load in both
    directions; at the largest subnet it computes the same. With ``deep_stem``
    and ``avg_down`` it is mmpretrain's ResNetV1c and V1d.

    The space of ResNet-50 has 21 widths: the stem; the output of each of the 4
    stages, which the blocks of a stage share because of their shortcuts; and
    one inner width for each of the 16 blocks. Other depths have the analogous
    space. Where the first stage has no convolution in its first shortcut
    (depths 18 and 34), it shares the stem's width. In a deep stem only the last
    convolution changes its width.

    Args:
        conv_cfg, norm_cfg: as for mmpretrain's class; the types are replaced
            by their slimmable counterparts.
        search_space: see :func:`.build_space`.
        subnet: the subnet whose plain network to build, instead of a supernet.
        args, kwargs: as for mmpretrain's class.

    Attributes:
        search_space (SearchSpace): its widths are in the order above.

    Raises:
        InputError: if a type of layers has no slimmable counterpart, or the
            space or the subnet is impossible.
    """

    def __init__(self,
                 *args,
                 conv_cfg: Optional[dict] = None,
                 norm_cfg: dict = dict(type='BN', requires_grad=True),
                 search_space: Optional[dict] = None,
                 subnet: Optional[dict] = None,
                 **kwargs) -> None:
        super().__init__(
            *args,
            conv_cfg=slimmable_cfg(conv_cfg, SLIMMABLE_CONVS, 'conv_cfg'),
            norm_cfg=slimmable_cfg(norm_cfg, SLIMMABLE_NORMS, 'norm_cfg'),
            **kwargs)
        stem = self.stem[0].conv if self.deep_stem else self.conv1
        self.input_channels = stem.in_channels
        self.finish(self._find_drives(), search_space, subnet)

    def _find_drives(self) -> List[Drive]:
        """The convolutions that the widths drive."""
        stages = [getattr(self, name) for name in self.res_layers]
        drives = [
            Drive(self.stem[-1].conv if self.deep_stem else self.conv1, 0)
        ]
        width = 0
        for stage in stages:
            # a plain shortcut ties the stage to what comes before it
            if stage[0].downsample is not None:
                width += 1
                drives += [
                    Drive(module, width) for module in stage[0].downsample
                    if isinstance(module, SlimmableConv2d)
                ]
            drives += [Drive(_convs(block)[-1], width) for block in stage]
        for stage in stages:
            for block in stage:
                width += 1
                drives += [Drive(conv, width) for conv in _convs(block)[:-1]]
        return drives

    def blocks(self) -> List[Block]:
        """The parts that latency tables hold, in order."""
        stem = [*self.stem] if self.deep_stem else \
            [self.conv1, self.norm1, self.relu]
        first = stem[0].conv if self.deep_stem else self.conv1
        blocks = [
            Block(
                'ResNetStem',
                nn.Sequential(*stem, self.maxpool),
                kernel_size=first.kernel_size[0],
                stride=4)
        ]
        for name in self.res_layers:
            for block in getattr(self, name):
                convs = _convs(block)
                shortcut = 'identity' if block.downsample is None else 'conv'
                blocks.append(
                    Block(
                        type(block).__name__,
                        block,
                        inner=convs[-2],
                        stride=block.stride,
                        shortcut=shortcut))
        return blocks

    @property
    def network(self) -> Dict[str, Any]:
        """What a latency depends on besides the sizes of blocks."""
        return dict(
            super().network,
            style=self.style,
            deep_stem=self.deep_stem,
            avg_down=self.avg_down)


def _convs(block: nn.Module) -> List[Any]:
    """The convolutions of a block in order, without its shortcut's."""
    return [m for m in block.children() if isinstance(m, nn.Conv2d)]
