"""How many parameters a subnet has."""

import numpy as np

from ..registry import RESOURCES
from ..structures import CostTable
from ..supernet import Supernet
from .scaled_layers import product_term, scaled_layers


@RESOURCES.register_module()
class Parameters:
    """Parameters of the plain network that a subnet becomes, in millions."""

    unit = 'M parameters'

    def table(self, model: Supernet) -> CostTable:
        """The parameters of a supernet's subnets."""
        space = model.search_space
        flat = np.ones(len(space.resolutions), np.int64)
        names = [
            name for name, module in model.named_modules()
            if any(True for _ in module.parameters(recurse=False))
        ]
        terms = []
        for name, layer in scaled_layers(model, names).items():
            for value in model.get_submodule(name).parameters(recurse=False):
                # filters grow with channels in and out, all else with out
                factors = layer.factors if value.dim() > 1 \
                    else [(layer.drivers[1], layer.smallest.channels_out)]
                per_unit = int(np.prod(value.shape[2:]))
                terms.append(product_term(space, flat * per_unit, factors))
        return CostTable.merge(space, terms, scale=1_000_000)
