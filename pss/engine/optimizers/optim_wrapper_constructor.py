"""Learning rates and weight decays of single parameters."""

from typing import Any, Dict, List

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from ...registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class OptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's, but a convolution with one input channel counts as dense.

    MMEngine takes a convolution with as many groups as input channels for a
    depthwise one, so the first layer of a network for grey images would get
    ``dwconv_decay_mult``.
    """

    paramwise_cfg: Dict[str, Any]

    def add_params(self, params: List[Dict[str, Any]], module: nn.Module, *args:
                   Any, **kwargs: Any) -> None:
        """Adds a module's parameters, as ``DefaultOptimWrapperConstructor``."""
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
