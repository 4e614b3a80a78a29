"""How the sizes of a supernet's layers follow from a subnet.

Read off the network itself, run on blank images: no layer is described twice.
"""

from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
from torch import nn

from ..structures import SearchSpace, Subnet
from ..structures.cost_table import Scope
from ..supernet import restoring, run_blank

# Numbers of channels of something that a subnet has: in and out of a layer.
Channels = Tuple[int, ...]
# For each of them, the width that drives it; none if it never changes.
Drivers = Tuple[Optional[int], ...]


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
    """A layer of a supernet, and how its size follows from the subnet.

    Attributes:
        smallest: its size in the smallest subnet.
        drivers: the widths that drive its channels in and out.
        pixels_in, pixels_out: at each of the space's resolutions.
        is_per_channel: whether each channel is worked on by itself.
    """
    smallest: LayerSize
    drivers: Drivers
    pixels_in: np.ndarray
    pixels_out: np.ndarray
    is_per_channel: bool

    @property
    def factors(self) -> List[Tuple[Optional[int], int]]:
        """Driver, and channels in the smallest subnet, of each number of
        channels that the work of the layer is proportional to."""
        pairs = list(zip(self.drivers, self.smallest.channels))
        return pairs[:1] if self.is_per_channel else pairs


def scaled_layers(model: nn.Module,
                  names: Sequence[str]) -> Dict[str, ScaledLayer]:
    """Sizes of layers in every subnet.

    Args:
        model: a supernet; the subnet that was active is active again after.
        names: of its layers.

    Raises:
        ValueError: if channels do not follow from one width in proportion.
    """
    space = model.search_space

    def channels_of(subnet):
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


def layer_sizes(model: nn.Module, names: Sequence[str],
                subnet: Subnet) -> Dict[str, LayerSize]:
    """Runs a subnet on a blank image and notes layers' sizes."""
    sizes: Dict[str, LayerSize] = {}

    def note(name, x, y):
        axis = 1 if x.dim() == 4 else -1
        sizes[name] = LayerSize(x.shape[axis], y.shape[axis],
                                x[0, 0].numel() if x.dim() == 4 else 1,
                                y[0, 0].numel() if y.dim() == 4 else 1)

    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda module, args, y, name=name: note(name, args[0], y))
        for name in names
    ]
    try:
        run_blank(model, subnet)
    finally:
        for hook in hooks:
            hook.remove()
    return sizes


def find_drivers(
        space: SearchSpace,
        channels_of: Callable[[Subnet], Dict[str,
                                             Channels]]) -> Dict[str, Drivers]:
    """The widths that drive numbers of channels.

    Found by widening one width at a time: numbers must grow in proportion to
    it, or not at all.

    Args:
        space: the space.
        channels_of: what a subnet has, by name.

    Raises:
        ValueError: if a number does not follow from one width.
    """
    small = channels_of(space.smallest)
    drivers = {name: [None] * len(value) for name, value in small.items()}
    for unit, width in enumerate(space.widths):
        if len(width.choices) == 1:
            continue
        widths = list(space.smallest.widths)
        widths[unit] = width.choices[-1]
        wide = channels_of(Subnet(space.smallest.resolution, tuple(widths)))
        for name, mine in drivers.items():
            for side, (before,
                       after) in enumerate(zip(small[name], wide[name])):
                if before == after:
                    continue
                if mine[side] is not None or \
                        after * width.choices[0] != before * width.choices[-1]:
                    raise ValueError(f'{name}: its channels do not follow from '
                                     'one width in proportion')
                mine[side] = unit
    return {name: tuple(mine) for name, mine in drivers.items()}


def channels_along(space: SearchSpace, driver: Optional[int],
                   smallest: int) -> np.ndarray:
    """A number of channels for every choice of its driver; one if none."""
    if driver is None:
        return np.array([smallest])
    choices = np.array(space.widths[driver].choices)
    return smallest * choices // choices[0]


def product_term(
        space: SearchSpace, per_unit: np.ndarray,
        factors: Iterable[Tuple[Optional[int],
                                int]]) -> Tuple[Scope, np.ndarray]:
    """A cost that is proportional to numbers of channels.

    Args:
        space: the space.
        per_unit: cost of one channel of each, ``(resolutions, )``.
        factors: driver, and number in the smallest subnet.

    Returns:
        Scope and table for a :class:`CostTable`.
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
    """Whether each channel is worked on by itself (depthwise, pooling)."""
    if isinstance(layer, nn.Conv2d):
        return layer.groups == layer.in_channels > 1
    return not isinstance(layer, nn.Linear)
