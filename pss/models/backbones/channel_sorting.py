"""Sorting channels by importance: the first ones become the best ones.

Subnets have the first channels of every layer, and in a network that was
trained as it is these are no better than others. Channels may be reordered, as
long as all that reads them is reordered alike: the network computes the same.
Once-for-all (Cai et al., ICLR 2020) does this before it shrinks a network.
"""

from typing import Dict, List

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .channel_groups import Group, channel_axis, channel_groups


@torch.no_grad()
def sort_channels(network: nn.Module, image: Tensor) -> Dict[str, Tensor]:
    """Reorders the channels of a network, the most important first.

    In place; what the network computes stays the same. So channels that it
    returns keep their order, and those that cannot be narrowed.

    Args:
        network: plain, or a supernet whose largest subnet is active.
        image: ``(1, C, H, W)``, see :func:`.channel_groups`.

    Returns:
        The new order of the output channels of each layer, by its name.
    """
    orders: Dict[str, Tensor] = {}
    for group in channel_groups(network, image):
        if group.reason or group.is_returned:
            continue
        order = importance(network, group).argsort(descending=True, stable=True)
        for member in group.members:
            _reorder_member(network, member.name, _run(order, member.channels))
            orders[member.name] = _run(order, member.channels)
        for name in group.consumers:
            weight = network.get_parameter(f'{name}.weight')
            weight.copy_(weight[:, _run(order, weight.shape[1])])
    return orders


def importance(network: nn.Module, group: Group) -> Tensor:
    """How much depends on each block of channels of a group, ``(blocks, )``.

    The sum of the absolute weights that read a channel, of each layer relative
    to their mean, times the scales of the batch norms that it passes. Without a
    layer that reads it, the weights that write it.
    """
    blocks = group.base // group.block
    read = [
        _per_block(network.get_parameter(f'{name}.weight'), 1, blocks)
        for name in group.consumers
    ]
    written = [
        _per_block(network.get_parameter(f'{name}.weight'), 0, blocks)
        for name in group.driven
    ]
    scales = [
        _per_block(norm.weight, 0, blocks) for member in group.members
        if isinstance(norm := _module(network, member.name), _BatchNorm)
        and norm.weight is not None
    ]
    found = torch.stack(read or written).sum(0)
    return found * torch.stack(scales).mean(0) if scales else found


def _per_block(weight: Tensor, axis: int, blocks: int) -> Tensor:
    """Absolute weights of each block of channels, relative to their mean."""
    sums = weight.detach().abs().movedim(axis, 0).reshape(blocks, -1).sum(1)
    return sums / sums.mean().clamp(min=torch.finfo(sums.dtype).tiny)


def _run(order: Tensor, channels: int) -> Tensor:
    """The order of channels of which each block has an equal share."""
    share = channels // len(order)
    return (order[:, None] * share + torch.arange(share)).ravel()


def _module(network: nn.Module, name: str) -> object:
    try:
        return network.get_submodule(name)
    except AttributeError:  # a parameter
        return None


def _reorder_member(network: nn.Module, name: str, order: Tensor) -> None:
    module = _module(network, name)
    if not isinstance(module, nn.Module):
        parameter = network.get_parameter(name)
        parameter.copy_(parameter.index_select(channel_axis(parameter), order))
        return
    values: List[Tensor] = [
        *(p for p in module._parameters.values() if p is not None),
        *(b for b in module._buffers.values() if b is not None and b.dim())
    ]
    for value in values:
        value.copy_(value[order])
