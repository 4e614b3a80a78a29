"""The blocks that a space can reach: what latency tables hold.

A subnet runs its stem, its blocks, its last convolution and its classifier one
after the other, and its latency is the sum of theirs ("Resources" in the
paper). The backbones say what their blocks are; their sizes are read off the
network, run on blank images.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from torch import nn

from ..structures import SearchSpace, Subnet
from ..supernet import Block, restoring, run_blank
from .scaled_layers import channels_along, find_drivers


class BlockKey(NamedTuple):
    """What a block's latency depends on: a row's key in a latency table.

    Attributes:
        in_size: height and width of its input in pixels; 1 for a linear layer.
        cin, cmid, cout: channels going in, inside, coming out.
        block_type, kernel_size, stride, shortcut: see :class:`Block`.
    """
    block_type: str
    in_size: int
    cin: int
    cmid: Optional[int]
    cout: int
    kernel_size: Optional[int]
    stride: Optional[int]
    shortcut: Optional[str]

    def __str__(self) -> str:
        sizes = ', '.join(f'{k}={v}' for k, v in self._asdict().items()
                          if v is not None and k != 'block_type')
        return f'{self.block_type}({sizes})'


class BlockFamily(NamedTuple):
    """What the keys of one block of the network have in common, and differ in.

    Attributes:
        block: the block.
        scope: the widths that its channels follow from.
        in_sizes: its input size at each of the space's resolutions.
        channels: input, inner and output channels, each an array of the shape
            of the scope's choices; no inner ones for some blocks.
    """
    block: Block
    scope: Tuple[int, ...]
    in_sizes: np.ndarray
    channels: Tuple[np.ndarray, Optional[np.ndarray], np.ndarray]

    def key(self, in_size: int, cin: int, cmid: Optional[int],
            cout: int) -> BlockKey:
        """The key of the block at some size."""
        block = self.block
        return BlockKey(block.block_type, in_size, cin, cmid, cout,
                        block.kernel_size, block.stride, block.shortcut)


def block_families(model: nn.Module) -> List[BlockFamily]:
    """The blocks of a supernet in every size that its space can reach.

    Args:
        model: a supernet with ``blocks()``; the subnet that was active is
            active again after.
    """
    space: SearchSpace = model.search_space
    blocks: List[Block] = model.blocks()

    def channels_of(subnet):
        return {
            i: size[1:]
            for i, size in enumerate(_block_sizes(model, blocks, subnet))
        }

    with restoring(model):
        drivers = find_drivers(space, channels_of)
        small = channels_of(space.smallest)
        in_sizes = np.array([[
            size[0] for size in _block_sizes(model, blocks,
                                             Subnet(r, space.smallest.widths))
        ] for r in space.resolutions])
    families = []
    for i, block in enumerate(blocks):
        scope = tuple(sorted({d for d in drivers[i] if d is not None}))
        shape = [len(space.widths[w].choices) for w in scope]
        channels = []
        for driver, smallest in zip(drivers[i], small[i]):
            axis = [1] * len(scope)
            if driver is not None:
                axis[scope.index(driver)] = -1
            channels.append(
                np.broadcast_to(
                    channels_along(space, driver, smallest).reshape(axis),
                    shape))
        if block.inner is None:
            channels[1] = None
        families.append(
            BlockFamily(block, scope, in_sizes[:, i], tuple(channels)))
    return families


def reachable_blocks(model: nn.Module) -> Dict[BlockKey, Tuple[int, Subnet]]:
    """Every block that the space of a supernet can reach, once.

    Returns:
        For each, where it is found: its position in ``model.blocks()``, and a
        subnet of which it is a part. In the network's order.
    """
    space = model.search_space
    found: Dict[BlockKey, Tuple[int, Subnet]] = {}
    for position, family in enumerate(block_families(model)):
        cin, cmid, cout = (None if c is None else c.ravel().tolist()
                           for c in family.channels)
        choices = list(np.ndindex(*family.channels[0].shape))
        sizes, first = np.unique(family.in_sizes, return_index=True)
        for size, r in zip(sizes.tolist(), first.tolist()):
            for i, choice in enumerate(choices):
                key = family.key(size, cin[i],
                                 None if cmid is None else cmid[i], cout[i])
                if key in found:
                    continue
                widths = list(space.smallest.widths)
                for unit, c in zip(family.scope, choice):
                    widths[unit] = space.widths[unit].choices[c]
                found[key] = position, Subnet(space.resolutions[r],
                                              tuple(widths))
    return found


def _block_sizes(model: nn.Module, blocks: List[Block],
                 subnet: Subnet) -> List[Tuple[int, int, int, int]]:
    """Input size, input, inner and output channels of every block."""
    sizes: List[Dict[str, Any]] = [{} for _ in blocks]
    hooks = []
    for size, block in zip(sizes, blocks):
        first, last = block.ends
        hooks += [
            first.register_forward_pre_hook(
                lambda module, args, size=size: size.update(x=args[0].shape)),
            last.register_forward_hook(
                lambda module, args, y, size=size: size.update(y=y.shape))
        ]
        if block.inner is not None:
            hooks.append(
                block.inner.register_forward_hook(
                    lambda module, args, y, size=size: size.update(inner=y.shape
                                                                   )))
    try:
        run_blank(model, subnet)
    finally:
        for hook in hooks:
            hook.remove()
    return [(s['x'][2] if len(s['x']) == 4 else 1, s['x'][1],
             s['inner'][1] if 'inner' in s else 0, s['y'][1]) for s in sizes]
