"""How the sizes of a supernet's layers follow from a subnet.

Read off the network itself while it runs on blank images, so that no layer is
described twice.
"""

from dataclasses import dataclass
from functools import partial
from typing import (
    Callable,
    Dict,
    Hashable,
    Iterable,
    List,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

import numpy as np
from torch import Tensor, nn

from ..structures import SearchSpace, Subnet
from ..structures.cost_table import Scope
from ..supernet import Supernet, hooked, restoring, run_blank

# Numbers of channels of one part of a subnet, such as in and out of a layer.
Channels = Tuple[int, ...]
# For each of them, the width that drives it; None if it never changes.
Drivers = Tuple[Optional[int], ...]
Part = TypeVar('Part', bound=Hashable)


@dataclass(frozen=True)
class LayerSize:
    """Channels in and out of a layer, and the pixels going in and out."""
    channels_in: int
    channels_out: int
    pixels_in: int
    pixels_out: int

    @property
    def channels(self) -> Channels:
        """Channels in and out."""
        return self.channels_in, self.channels_out


@dataclass(frozen=True)
class ScaledLayer:
    """A layer of a supernet, and how the subnet determines its size.

    Attributes:
        smallest: its size in the smallest subnet.
        drivers: the widths that drive its channels in and out.
        pixels_in: at each of the space's resolutions.
        pixels_out: likewise.
        is_per_channel: whether the work grows with the channels in or out, but
            not with both.
    """
    smallest: LayerSize
    drivers: Drivers
    pixels_in: np.ndarray
    pixels_out: np.ndarray
    is_per_channel: bool

    @property
    def factors(self) -> List[Tuple[Optional[int], int]]:
        """The numbers of channels that the layer's work is proportional to,
        each as its driver and its value in the smallest subnet."""
        pairs = list(zip(self.drivers, self.smallest.channels))
        return pairs[:1] if self.is_per_channel else pairs


def scaled_layers(model: Supernet,
                  names: Sequence[str]) -> Dict[str, ScaledLayer]:
    """Sizes of layers in every subnet.

    Args:
        model: the supernet; its active subnet is restored.
        names: of its layers.

    Raises:
        ValueError: if channels are not proportional to a single width.
    """
    space = model.search_space

    def channels_of(subnet: Subnet) -> Dict[str, Channels]:
        return {
            n: s.channels
            for n, s in layer_sizes(model, names, subnet).items()
        }

    with restoring(model):
        small = layer_sizes(model, names, space.smallest)
        drivers = find_drivers(space, channels_of)
        sizes = [
            layer_sizes(model, names, Subnet(r, space.smallest.widths))
            for r in space.resolutions
        ]
    return {
        name:
        ScaledLayer(small[name], drivers[name],
                    np.array([size[name].pixels_in for size in sizes]),
                    np.array([size[name].pixels_out for size in sizes]),
                    _is_per_channel(model.get_submodule(name)))
        for name in names
    }


def layer_sizes(model: Supernet, names: Sequence[str],
                subnet: Subnet) -> Dict[str, LayerSize]:
    """Runs a subnet on a blank image and notes layers' sizes."""
    sizes: Dict[str, LayerSize] = {}

    def note(name: str, layer: nn.Module, inputs: Tuple[Tensor],
             y: Tensor) -> None:
        ends = [_channels_and_pixels(layer, part) for part in (inputs[0], y)]
        sizes[name] = LayerSize(*(end[0] for end in ends),
                                *(end[1] for end in ends))

    with hooked(after=[(model.get_submodule(name), partial(note, name))
                       for name in names]):
        run_blank(model, subnet)
    return sizes


def _channels_and_pixels(layer: nn.Module, x: Tensor) -> Tuple[int, int]:
    """Channels of a layer's input or output, and pixels of one of them."""
    last = x.dim() != 4 or isinstance(layer, nn.Linear) or \
        isinstance(layer, nn.LayerNorm) and \
        getattr(layer, 'data_format', None) != 'channel_first'
    channels = x.shape[-1 if last else 1]
    return channels, x[0].numel() // channels


def find_drivers(
    space: SearchSpace,
    channels_of: Callable[[Subnet], Dict[Part,
                                         Channels]]) -> Dict[Part, Drivers]:
    """The widths that drive numbers of channels.

    Found by widening one width at a time: numbers must grow in proportion to
    it, or not at all.

    Args:
        space: the space.
        channels_of: numbers of channels in a subnet, by its parts.

    Raises:
        ValueError: if a number is not proportional to a single width.
    """
    small = channels_of(space.smallest)
    drivers: Dict[Part, List[Optional[int]]] = {
        part: [None] * len(value)
        for part, value in small.items()
    }
    for unit, width in enumerate(space.widths):
        if len(width.choices) == 1:
            continue
        widths = list(space.smallest.widths)
        widths[unit] = width.choices[-1]
        wide = channels_of(Subnet(space.smallest.resolution, tuple(widths)))
        for part, mine in drivers.items():
            for side, (before,
                       after) in enumerate(zip(small[part], wide[part])):
                if before == after:
                    continue
                if mine[side] is not None or \
                        after * width.choices[0] != before * width.choices[-1]:
                    raise ValueError(f'{part}: its channels are not '
                                     'proportional to a single width')
                mine[side] = unit
    return {part: tuple(mine) for part, mine in drivers.items()}


def channels_along(space: SearchSpace, driver: Optional[int],
                   smallest: int) -> np.ndarray:
    """A number of channels for every choice of its driver; a single one if
    nothing drives it."""
    if driver is None:
        return np.array([smallest])
    choices = np.array(space.widths[driver].choices)
    channels: np.ndarray = smallest * choices // choices[0]
    return channels


def product_term(
        space: SearchSpace, per_unit: np.ndarray,
        factors: Iterable[Tuple[Optional[int],
                                int]]) -> Tuple[Scope, np.ndarray]:
    """A cost that is proportional to numbers of channels.

    Args:
        space: the space.
        per_unit: cost per channel of each factor, ``(resolutions, )``.
        factors: of each number its driver, and its value in the smallest
            subnet.

    Returns:
        Scope and table for a :class:`.CostTable`.
    """
    factors = list(factors)
    scope = tuple(sorted({d for d, _ in factors if d is not None}))
    table = np.asarray(per_unit).reshape(-1, *[1] * len(scope))
    for driver, smallest in factors:
        axis = [1] * (1 + len(scope))
        if driver is not None:
            axis[1 + scope.index(driver)] = -1
        table = table * channels_along(space, driver, smallest).reshape(axis)
    full = (len(space.resolutions), *(len(space.widths[i].choices)
                                      for i in scope))
    return scope, np.ascontiguousarray(np.broadcast_to(table, full))


def _is_per_channel(layer: nn.Module) -> bool:
    """Whether the work grows with the channels in or out, but not with both: as
    for pooling, and for convolutions with groups, whose size stays."""
    if isinstance(layer, nn.Conv2d):
        groups: int = getattr(layer, 'full_groups', layer.groups)
        return groups > 1
    return not isinstance(layer, nn.Linear)
