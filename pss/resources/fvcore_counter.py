"""Counting a network's FLOPs with fvcore, as the paper counts them."""

import logging
from typing import Dict, Tuple

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from ..supernet import evaluating, image_size

# One multiply-add is one. Batch norm, activations and additions count nothing;
# the average pool counts its input elements.
OPERATORS = ('conv', 'linear', 'adaptive_avg_pool2d')


def macs_by_module(model: nn.Module, input_shape: Tuple[int, int,
                                                        int]) -> Dict[str, int]:
    """Multiply-adds of every module on one image, its children included.

    Args:
        model: called with a float tensor of shape ``(1, *input_shape)``.
        input_shape: channels, height, width.

    Returns:
        From module names (``''`` is the whole model) to multiply-adds.
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


def count_macs(model: nn.Module, subnet) -> int:
    """Multiply-adds of one subnet, by fvcore.

    Args:
        model: a supernet; the subnet that was active is active again after.
        subnet (Subnet): the subnet to count, at its own resolution.
    """
    active = model.active_subnet
    model.switch_to(subnet)
    try:
        size = image_size(model, subnet.resolution)
        return macs_by_module(model, (model.input_channels, *size))['']
    finally:
        model.switch_to(active)
