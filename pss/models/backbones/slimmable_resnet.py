"""ResNets whose layers run at several widths.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. The paper
of PSS-Net uses ResNet-50, but its space is not public; this one is ours.
"""

from typing import List, Optional

from mmpretrain.models.backbones import ResNet
from torch import nn

from ...registry import MODELS
from ...structures import Subnet
from ...supernet import Block
from .slimmable_backbone import (
    SLIMMABLE_CONVS,
    SLIMMABLE_NORMS,
    Drive,
    finish,
    set_widths,
    slimmable_cfg,
)


@MODELS.register_module()
class SlimmableResNet(ResNet):
    """mmpretrain's ResNet with slimmable layers plugged in.

    Its state dict has the same keys and shapes, so checkpoints load in both
    directions; at the largest subnet it computes the same. With ``deep_stem``
    and ``avg_down`` it is mmpretrain's ResNetV1c and V1d.

    The space of ResNet-50 has 21 widths: the stem; the output of each of the 4
    stages, which the blocks of a stage share because of their shortcuts; and
    one inner width for each of the 16 blocks. Other depths have the analogous
    space. Where the first stage has no convolution in its first shortcut
    (depths 18 and 34), it shares the stem's width, and there is no width of its
    own. In a deep stem only the last convolution changes its width.

    Args:
        conv_cfg, norm_cfg: as for mmpretrain's class; the types are exchanged
            for their slimmable counterparts.
        search_space: see :func:`.slimming.build_space`.
        subnet: build the plain network of this subnet instead of a supernet.
        *args, **kwargs: as for mmpretrain's class.

    Attributes:
        search_space (SearchSpace): its widths are in the order above.
        active_subnet (Subnet): the subnet that the next forward pass runs.
        input_channels (int): channels of the images.

    Raises:
        InputError: for a layer type that cannot be slimmed, an illegal space
            or subnet.
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
        finish(self, self._find_drives(), search_space, subnet)

    def _find_drives(self) -> List[Drive]:
        """Which convolution follows from which width."""
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
                    if hasattr(module, 'active_out_channels')
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

    def switch_to(self, subnet: Subnet) -> None:
        """Makes the next forward passes run the widths of ``subnet``."""
        set_widths(self.drives, subnet)
        self.active_subnet = subnet


def _convs(block) -> List:
    """The convolutions of a block, the one that puts out its output last."""
    names = ('conv1', 'conv2', 'conv3')
    return [getattr(block, name) for name in names if hasattr(block, name)]
