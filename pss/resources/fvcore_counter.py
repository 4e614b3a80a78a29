"""Counting a network's FLOPs with fvcore, as the paper counts them."""

import logging
from typing import Dict, Tuple

import torch
from fvcore.nn import FlopCountAnalysis

from ..structures import Subnet
from ..supernet import Network, Supernet, evaluating, restoring

# One multiply-add counts as one. Batch norms, activations and additions are
# free; an average pool costs its input elements.
OPERATORS = ('conv', 'linear', 'adaptive_avg_pool2d')


def macs_by_module(model: Network, input_shape: Tuple[int, int,
                                                      int]) -> Dict[str, int]:
    """Multiply-adds of every module, its children included, for one image.

    Args:
        model: called with a float tensor of shape ``(1, *input_shape)``.
        input_shape: channels, height, width.

    Returns:
        Multiply-adds by module name; ``''`` is the whole model.
    """
    device = next(model.parameters()).device
    fvcore_log = logging.getLogger('fvcore')
    level = fvcore_log.level
    fvcore_log.setLevel(logging.ERROR)  # it lists every uncounted operator
    try:
        with evaluating(model):
            analysis = FlopCountAnalysis(
                model, (torch.zeros(1, *input_shape, device=device), ))
            analysis.unsupported_ops_warnings(False)
            analysis.uncalled_modules_warnings(False)
            counts = analysis.by_module_and_operator()
    finally:
        fvcore_log.setLevel(level)
    return {
        name: int(sum(count[op] for op in OPERATORS))
        for name, count in counts.items()
    }


def count_macs(model: Supernet, subnet: Subnet) -> int:
    """Multiply-adds of one subnet, counted by fvcore.

    Args:
        model: the supernet; its active subnet is restored.
        subnet: the subnet to count, at its own resolution.
    """
    with restoring(model):
        model.switch_to(subnet)
        size = model.image_size(subnet.resolution)
        return macs_by_module(model, (model.input_channels, *size))['']
