"""The FLOPs of every subnet of a space, from one count by fvcore.

fvcore takes about 0.3 s for one subnet. So it counts the smallest subnet once,
layer by layer. The multiply-adds of a layer are proportional to the channels
going in, the channels coming out and the pixels; how these follow from the
subnet is read off the network itself (:mod:`.layers`).
"""

from typing import Dict, List

from torch import nn

from ..registry import RESOURCES
from ..structures import CostTable, SearchSpace
from ..supernet import image_size
from .fvcore_counter import macs_by_module
from .scaled_layers import product_term, restoring, scaled_layers

MFLOPS = 1_000_000  # multiply-adds in one


@RESOURCES.register_module()
class Flops:
    """Multiply-adds, as the paper counts them (see :func:`flops_table`)."""

    unit = 'MFLOPs'

    def table(self, model: nn.Module) -> CostTable:
        """What the subnets of ``model`` cost."""
        return flops_table(model)


def flops_table(model: nn.Module) -> CostTable:
    """The cost table of a supernet's FLOPs, in multiply-adds.

    Equal to fvcore's ``conv + linear + adaptive_avg_pool2d`` for every subnet.

    Args:
        model: a supernet: ``model(x)`` with ``x`` of shape ``(N,
            model.input_channels, H, W)`` (see :func:`.image_size`),
            ``model.search_space``, ``model.switch_to(subnet)``,
            ``model.active_subnet``.

    Raises:
        ValueError: if the network does work that no layer of its own
            accounts for, or channels follow from two widths at once.
    """
    space: SearchSpace = model.search_space
    with restoring(model):
        model.switch_to(space.smallest)
        size = image_size(model, space.smallest.resolution)
        counted = macs_by_module(model, (model.input_channels, *size))
    terms = []
    names = _counted_layers(model, counted)
    for name, layer in scaled_layers(model, names).items():
        # the pool's cost counts what goes in, a convolution's what comes out
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


def _counted_layers(model: nn.Module, counted: Dict[str, int]) -> List[str]:
    """Names of the layers that do all the work."""
    layers = [
        name for name, module in model.named_modules()
        if counted.get(name) and not any(module.children())
    ]
    missing = counted[''] - sum(counted[name] for name in layers)
    if missing:
        raise ValueError(f'{missing} of {counted[""]} multiply-adds are done '
                         'outside of leaf modules, where no width is known')
    return layers
