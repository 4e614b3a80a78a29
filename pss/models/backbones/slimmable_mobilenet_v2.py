"""MobileNetV2 whose stages run at several widths.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR
2018; the space is the one of PSS-Net, arXiv 2109.05432.
"""

from typing import List, Optional, Sequence

from mmpretrain.models.backbones import MobileNetV2

from ...errors import InputError
from ...registry import MODELS
from ...structures import Subnet
from .slimming import (
    SLIMMABLE_CONVS,
    SLIMMABLE_NORMS,
    Drive,
    build_space,
    set_widths,
    slimmable_cfg,
)


@MODELS.register_module()
class SlimmableMobileNetV2(MobileNetV2):
    """mmpretrain's MobileNetV2 with slimmable layers plugged in.

    Its state dict has the same keys and shapes, so checkpoints load in both
    directions; at the largest subnet it computes the same.

    The space has 8 widths: the stem, and the output of each of the 7 stages,
    which the blocks of a stage share. Hidden channels are always the expansion
    ratio times the block's input; the last convolution keeps its width.

    Args:
        conv_cfg, norm_cfg: as for mmpretrain's class; the types are exchanged
            for their slimmable counterparts.
        search_space: see :func:`.slimming.build_space`.
        strides: strides of the stem and the 7 stages, for small images.
            Defaults to the paper's 2, 1, 2, 2, 2, 1, 2, 1.
        **kwargs: as for mmpretrain's class.

    Attributes:
        search_space (SearchSpace): its widths are in the order above.
        active_subnet (Subnet): the subnet that the next forward pass runs.
        input_channels (int): channels of the images.

    Raises:
        InputError: for a layer type that cannot be slimmed, or strides that
            are not 8 of 1 and 2.
    """

    def __init__(self,
                 *args,
                 conv_cfg: Optional[dict] = None,
                 norm_cfg: dict = dict(type='BN'),
                 search_space: Optional[dict] = None,
                 strides: Optional[Sequence[int]] = None,
                 **kwargs) -> None:
        if strides is not None:
            if len(strides) != 8 or not set(strides) <= {1, 2}:
                raise InputError(f'strides={strides!r} must be 8 of 1 and 2: '
                                 'for the stem and the 7 stages')
            self.arch_settings = [
                [*setting[:3], stride]
                for setting, stride in zip(self.arch_settings, strides[1:])]
        super().__init__(
            *args,
            conv_cfg=slimmable_cfg(conv_cfg, SLIMMABLE_CONVS, 'conv_cfg'),
            norm_cfg=slimmable_cfg(norm_cfg, SLIMMABLE_NORMS, 'norm_cfg'),
            **kwargs)
        if strides is not None:
            self.conv1.conv.stride = (strides[0], strides[0])
        self._drives = self._find_drives()
        self.input_channels = self.conv1.conv.in_channels
        bases = {d.width: d.conv.out_channels
                 for d in self._drives if d.factor == 1}
        self.search_space = build_space([bases[i] for i in sorted(bases)],
                                        search_space)
        self.switch_to(self.search_space.largest)

    def _find_drives(self) -> List[Drive]:
        """Which convolution follows from which width."""
        drives = [Drive(self.conv1.conv, 0, 1)]
        previous = 0
        for width, layer_name in enumerate(self.layers[:-1], start=1):
            ratio = self.arch_settings[width - 1][0]
            for block in getattr(self, layer_name):
                convs = [module.conv for module in block.conv]
                if len(convs) == 3:
                    drives.append(Drive(convs[0], previous, ratio))
                drives.append(Drive(convs[-1], width, 1))
                previous = width
        return drives

    def switch_to(self, subnet: Subnet) -> None:
        """Makes the next forward passes run the widths of ``subnet``."""
        set_widths(self._drives, subnet)
        self.active_subnet = subnet
