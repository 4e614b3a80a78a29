"""The FLOPs of every subnet of a space, from one count by fvcore.

fvcore takes about 0.3 s for one subnet, so it counts the smallest subnet once,
layer by layer. The multiply-adds of a layer are proportional to the channels
going in, the channels coming out and the pixels; how these depend on the subnet
is read off the network itself (:mod:`.scaled_layers`).
"""

from typing import Dict, List

from torch import nn

from ..registry import RESOURCES
from ..structures import CostTable
from ..supernet import Supernet, restoring
from .fvcore_counter import macs_by_module
from .scaled_layers import product_term, scaled_layers

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
        ValueError: if the network does work outside of its layers, or channels
            depend on two widths at once.
    """
    space = model.search_space
    with restoring(model):
        model.switch_to(space.smallest)
        size = model.image_size(space.smallest.resolution)
        counted = macs_by_module(model, (model.input_channels, *size))
    terms = []
    names = _counted_layers(model, counted)
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


def _counted_layers(model: Supernet, counted: Dict[str, int]) -> List[str]:
    """The names of the layers that do all the work."""
    layers = [
        name for name, module in model.named_modules()
        if counted.get(name) and not any(module.children())
    ]
    missing = counted[''] - sum(counted[name] for name in layers)
    if missing:
        raise ValueError(f'{missing} of {counted[""]} multiply-adds are done '
                         'outside of leaf modules, where no width is known')
    return layers
