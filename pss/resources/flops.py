"""The FLOPs of every subnet of a space, from one count by fvcore.

fvcore takes about 0.3 s for one subnet, so it counts the smallest subnet once,
layer by layer. The multiply-adds of a layer are proportional to the channels
going in, the channels coming out and the pixels; how these depend on the subnet
is read off the network itself (:mod:`.scaled_layers`).
"""

from typing import Dict, List, Tuple

import numpy as np
from torch import nn

from ..registry import RESOURCES
from ..structures import CostTable, Subnet
from ..structures.cost_table import Scope
from ..supernet import Supernet, restoring
from .fvcore_counter import macs_by_module
from .scaled_layers import find_drivers, product_term, scaled_layers

MFLOPS = 1_000_000  # multiply-adds in one


@RESOURCES.register_module()
class Flops:
    """Multiply-adds, as the paper counts them (see :func:`flops_table`)."""

    unit = 'MFLOPs'

    def table(self, model: Supernet) -> CostTable:
        """The costs of a supernet's subnets."""
        return flops_table(model)


def flops_table(model: Supernet) -> CostTable:
    """The cost table of a supernet's FLOPs, in multiply-adds.

    Equal to fvcore's ``conv + linear + adaptive_avg_pool2d`` for every subnet.
    The active subnet is restored.

    Raises:
        ValueError: if channels, or work outside of layers, depend on two
            widths at once.
    """
    space = model.search_space
    with restoring(model):
        model.switch_to(space.smallest)
        size = model.image_size(space.smallest.resolution)
        counted = macs_by_module(model, (model.input_channels, *size))
    names = [
        name for name, module in model.named_modules()
        if counted.get(name) and not any(module.children())
    ]
    terms = _functional_terms(model, counted)
    for name, layer in scaled_layers(model, names).items():
        # pools cost what goes in, convolutions what comes out
        pixels = layer.pixels_out
        if not isinstance(model.get_submodule(name), (nn.Conv2d, nn.Linear)):
            pixels = layer.pixels_in
        units = int(pixels[0])
        for _, channels in layer.factors:
            units *= channels
        per_unit, rest = divmod(counted[name], units)
        if rest:
            raise ValueError(f'{name}: {counted[name]} multiply-adds are not '
                             f'proportional to {layer.smallest}')
        terms.append(product_term(space, per_unit * pixels, layer.factors))
    return CostTable.merge(space, terms, scale=MFLOPS)


def _functional_terms(
        model: Supernet, counted: Dict[str,
                                       int]) -> List[Tuple[Scope, np.ndarray]]:
    """What modules compute by functions, besides what their parts compute.

    Each is counted again with every width: it has to grow with one of them, as
    a pool does.

    Args:
        model: the supernet.
        counted: multiply-adds of its modules.
    """
    space = model.search_space
    names = [name for name, work in _own_work(model, counted).items() if work]
    if not names:
        return []

    def work_of(subnet: Subnet) -> Dict[str, Tuple[int, ...]]:
        model.switch_to(subnet)
        size = model.image_size(subnet.resolution)
        found = _own_work(model,
                          macs_by_module(model, (model.input_channels, *size)))
        return {name: (found[name], ) for name in names}

    with restoring(model):
        drivers = find_drivers(space, work_of)
        sizes = [
            work_of(Subnet(r, space.smallest.widths)) for r in space.resolutions
        ]
    terms = []
    for name in names:
        driver, = drivers[name]
        channels = 1 if driver is None else space.widths[driver].choices[0]
        work = np.array([size[name][0] for size in sizes])
        terms.append(
            product_term(space, work // channels, [(driver, channels)]))
    return terms


def _own_work(model: Supernet, counted: Dict[str, int]) -> Dict[str, int]:
    """Of modules with parts, multiply-adds that no part does."""
    return {
        name:
        counted.get(name, 0) - sum(
            counted.get(f'{name}.{part}'.lstrip('.'), 0)
            for part, _ in module.named_children())
        for name, module in model.named_modules() if any(module.children())
    }
