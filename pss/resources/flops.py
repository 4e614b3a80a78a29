"""The FLOPs of every subnet of a space, from one count by fvcore.

fvcore takes about 0.3 s for one subnet. So it counts the smallest subnet once,
layer by layer. The multiply-adds of a layer are proportional to the channels
going in, the channels coming out and the pixels; which width drives which
channels, and how the pixels follow from the resolution, is read off the
network itself, run on blank images.
"""

from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
from torch import nn

from ..structures import CostTable, SearchSpace, Subnet
from .fvcore_counter import evaluating, macs_by_module

MFLOPS = 1_000_000  # multiply-adds in one


@dataclass(frozen=True)
class LayerSize:
    """Channels in and out of a layer, and the pixels that its cost counts."""
    channels_in: int
    channels_out: int
    pixels: int


def flops_table(model: nn.Module) -> CostTable:
    """The cost table of a supernet's FLOPs, in multiply-adds.

    Equal to fvcore's ``conv + linear + adaptive_avg_pool2d`` for every subnet.

    Args:
        model: a supernet: ``model(x)`` with ``x`` of shape ``(N,
            model.input_channels, H, W)``, ``model.search_space``,
            ``model.switch_to(subnet)``, ``model.active_subnet``.

    Raises:
        ValueError: if the network does work that no layer of its own
            accounts for, or channels follow from two widths at once.
    """
    space: SearchSpace = model.search_space
    active = model.active_subnet
    try:
        model.switch_to(space.smallest)
        size = space.smallest.resolution
        counted = macs_by_module(model, (model.input_channels, size, size))
        layers = _counted_layers(model, counted)
        with evaluating(model):
            small = _layer_sizes(model, layers, space.smallest)
            pixels = _pixels(model, layers)
            drivers = _drivers(model, layers, small)
    finally:
        model.switch_to(active)

    sums: Dict[Tuple[int, ...], np.ndarray] = {}
    for name in layers:
        size = small[name]
        channels_out = 1 if _is_per_channel(model.get_submodule(name)) \
            else size.channels_out
        per_unit, rest = divmod(
            counted[name], size.channels_in * channels_out * size.pixels)
        if rest:
            raise ValueError(f'{name}: {counted[name]} multiply-adds are not '
                             f'proportional to {size}')
        unit_in, unit_out = drivers[name]
        factors = [(unit_in, size.channels_in)]
        if not _is_per_channel(model.get_submodule(name)):
            factors.append((unit_out, size.channels_out))
        scope = tuple(sorted({u for u, _ in factors if u is not None}))
        table = (per_unit * pixels[name]).reshape(-1, *[1] * len(scope))
        for unit, channels in factors:
            if unit is None:
                table = table * channels
                continue
            choices = np.array(space.widths[unit].choices)
            # channels are a fixed multiple of the width that drives them
            axis = [1] * (1 + len(scope))
            axis[1 + scope.index(unit)] = -1
            table = table * (choices * channels // choices[0]).reshape(axis)
        sums[scope] = sums[scope] + table if scope in sums else table
    return CostTable(space, *zip(*sums.items()), scale=MFLOPS)


def _counted_layers(model: nn.Module, counted: Dict[str, int]) -> List[str]:
    """Names of the layers that do all the work."""
    layers = [name for name, module in model.named_modules()
              if counted.get(name) and not any(module.children())]
    missing = counted[''] - sum(counted[name] for name in layers)
    if missing:
        raise ValueError(f'{missing} of {counted[""]} multiply-adds are done '
                         'outside of leaf modules, where no width is known')
    return layers


def _is_per_channel(layer: nn.Module) -> bool:
    """Whether each channel is worked on by itself (depthwise, pooling)."""
    if isinstance(layer, nn.Conv2d):
        return layer.groups == layer.in_channels > 1
    return not isinstance(layer, nn.Linear)


def _layer_sizes(model: nn.Module, layers: List[str],
                 subnet: Subnet) -> Dict[str, LayerSize]:
    """Runs a subnet on a blank image and notes each layer's size."""
    sizes: Dict[str, LayerSize] = {}

    def note(name, module, x, y):
        if isinstance(module, nn.Linear):
            sizes[name] = LayerSize(x.shape[-1], y.shape[-1], 1)
        else:
            # the pool's cost counts what goes in, a convolution's what
            # comes out
            area = y if isinstance(module, nn.Conv2d) else x
            sizes[name] = LayerSize(x.shape[1], y.shape[1],
                                    area.shape[2] * area.shape[3])

    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda module, args, y, name=name: note(name, module, args[0], y))
        for name in layers
    ]
    try:
        model.switch_to(subnet)
        r = subnet.resolution
        device = next(model.parameters()).device
        model(torch.zeros(1, model.input_channels, r, r, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return sizes


def _pixels(model: nn.Module, layers: List[str]) -> Dict[str, np.ndarray]:
    """For each layer, its pixels at each of the space's resolutions."""
    space = model.search_space
    sizes = [_layer_sizes(model, layers, Subnet(r, space.smallest.widths))
             for r in space.resolutions]
    return {name: np.array([size[name].pixels for size in sizes])
            for name in layers}


def _drivers(
    model: nn.Module, layers: List[str], small: Dict[str, LayerSize]
) -> Dict[str, Tuple[Optional[int], Optional[int]]]:
    """For each layer, the widths that drive its channels in and out.

    Found by widening one width at a time: channels must grow in proportion to
    it, or not at all.
    """
    space = model.search_space
    drivers: Dict[str, List[Optional[int]]] = {n: [None, None] for n in layers}
    for unit, width in enumerate(space.widths):
        if len(width.choices) == 1:
            continue
        widths = list(space.smallest.widths)
        widths[unit] = width.choices[-1]
        wide = _layer_sizes(model, layers,
                            Subnet(space.smallest.resolution, tuple(widths)))
        for name in layers:
            for side, field in enumerate(('channels_in', 'channels_out')):
                before = getattr(small[name], field)
                after = getattr(wide[name], field)
                if before == after:
                    continue
                if drivers[name][side] is not None or \
                        after * width.choices[0] != before * width.choices[-1]:
                    raise ValueError(f'{name}: {field} does not follow from '
                                     'one width in proportion')
                drivers[name][side] = unit
    return {name: (a, b) for name, (a, b) in drivers.items()}
