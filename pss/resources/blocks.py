"""The blocks that a space can reach: what latency tables hold.

A subnet runs its stem, its blocks, its last convolution and its classifier one
after the other, and its latency is the sum of theirs ("Resources" in the
paper). Supernets list their blocks; the sizes are read off the network while
it runs on blank images.
"""

from functools import partial
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from torch import Size, Tensor, nn

from ..structures import Subnet
from ..supernet import (
    After,
    Before,
    Block,
    Supernet,
    hooked,
    restoring,
    run_blank,
)
from .scaled_layers import Channels, channels_along, find_drivers


class BlockKey(NamedTuple):
    """What a block's latency depends on: a row's key in a latency table.

    Attributes:
        in_size: height and width of its input in pixels; 1 for a linear layer.
        cin, cmid, cout: channels going in, inside, coming out.
        block_type, kernel_size, stride, shortcut: see
            :class:`~pss.supernet.Block`.
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
    """One block of the network in all its sizes: what its keys share, and where
    they differ.

    Attributes:
        block: the block.
        scope: the widths that drive its channels.
        in_sizes: its input size at each of the space's resolutions.
        channels: input, inner and output channels, each an array of the shape
            of the scope's choices; ``None`` if no layer is its inner one.
    """
    block: Block
    scope: Tuple[int, ...]
    in_sizes: np.ndarray
    channels: Tuple[np.ndarray, Optional[np.ndarray], np.ndarray]

    def keys(self, in_size: int) -> List[BlockKey]:
        """The block's keys at one input size, for all choices of the scope in
        C order."""
        block = self.block
        cin, cmid, cout = self.channels
        inner = [None] * cin.size if cmid is None else cmid.ravel().tolist()
        return [
            BlockKey(block.block_type, in_size, *channels, block.kernel_size,
                     block.stride, block.shortcut)
            for channels in zip(cin.ravel().tolist(), inner,
                                cout.ravel().tolist())
        ]


def block_families(model: Supernet) -> List[BlockFamily]:
    """The blocks of a supernet in every size that its space can reach.

    The active subnet is restored.
    """
    space = model.search_space
    blocks = model.blocks()

    def channels_of(subnet: Subnet) -> Dict[int, Channels]:
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
        cin, cmid, cout = channels
        families.append(
            BlockFamily(block, scope, in_sizes[:, i],
                        (cin, None if block.inner is None else cmid, cout)))
    return families


def reachable_blocks(model: Supernet) -> Dict[BlockKey, Tuple[int, Subnet]]:
    """Every block that the space of a supernet can reach, once.

    Returns:
        For each, where it is found: its position in ``model.blocks()``, and a
        subnet that contains it. In the network's order.
    """
    space = model.search_space
    found: Dict[BlockKey, Tuple[int, Subnet]] = {}
    for position, family in enumerate(block_families(model)):
        choices = list(np.ndindex(*family.channels[0].shape))
        sizes, first = np.unique(family.in_sizes, return_index=True)
        for size, r in zip(sizes.tolist(), first.tolist()):
            for choice, key in zip(choices, family.keys(size)):
                if key in found:
                    continue
                widths = list(space.smallest.widths)
                for unit, c in zip(family.scope, choice):
                    widths[unit] = space.widths[unit].choices[c]
                found[key] = position, Subnet(space.resolutions[r],
                                              tuple(widths))
    return found


def _block_sizes(model: Supernet, blocks: List[Block],
                 subnet: Subnet) -> List[Tuple[int, int, int, int]]:
    """Input size, input, inner and output channels of every block; 0 inner
    channels if no layer is the inner one."""
    shapes: List[Dict[str, Size]] = [{} for _ in blocks]

    def note_input(found: Dict[str, Size], module: nn.Module,
                   inputs: Tuple[Tensor]) -> None:
        found['in'] = inputs[0].shape

    def note_output(found: Dict[str, Size], name: str, module: nn.Module,
                    inputs: Tuple[Tensor], output: Tensor) -> None:
        found[name] = output.shape

    before: List[Before] = []
    after: List[After] = []
    for found, block in zip(shapes, blocks):
        first, last = block.ends
        before.append((first, partial(note_input, found)))
        after.append((last, partial(note_output, found, 'out')))
        if block.inner is not None:
            after.append((block.inner, partial(note_output, found, 'inner')))
    with hooked(before, after):
        run_blank(model, subnet)
    return [(s['in'][2] if len(s['in']) == 4 else 1, s['in'][1],
             s['inner'][1] if 'inner' in s else 0, s['out'][1]) for s in shapes]
