"""Learning rate and weight decay of each parameter."""

from typing import Any, List

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from ...registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class OptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's, for which a convolution of one input channel is dense.

    It has as many groups as input channels, by which MMEngine tells depthwise
    convolutions: the first layer of a network for grey images would have
    ``dwconv_decay_mult``.
    """

    def add_params(self, params: List[dict], module: nn.Module, *args: Any,
                   **kwargs: Any) -> None:
        """As in ``DefaultOptimWrapperConstructor``."""
        options = self.paramwise_cfg
        if isinstance(module, nn.Conv2d) and module.in_channels == 1:
            self.paramwise_cfg = {
                key: value
                for key, value in options.items() if key != 'dwconv_decay_mult'
            }
        try:
            super().add_params(params, module, *args, **kwargs)
        finally:
            self.paramwise_cfg = options
