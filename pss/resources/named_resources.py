"""Resources by the names that a config gives them."""

from typing import Any, Dict

from torch import nn

from ..errors import InputError
from ..registry import RESOURCES, check_entry
from ..structures import CostTable

# Fields of results and of files that list subnets; a resource is a field too.
RESERVED = ('level', 'mflops', 'pool', 'resolution', 'resource', 'score',
            'subnet', 'widths')


def build_resources(cfg: Any) -> Dict[str, Any]:
    """The resources of a config, by name.

    Args:
        cfg: for each name the config of a registered class: ``table(model)``
            gives what the model's subnets cost, a :class:`CostTable`; ``unit``
            says in what. ``flops`` is always there.

    Raises:
        InputError: for a name that is none or is taken, and an unknown type.
    """
    cfg = dict(flops=dict(type='pss.Flops'), **_checked(cfg))
    return {name: RESOURCES.build(dict(entry)) for name, entry in cfg.items()}


def _checked(cfg: Any) -> Dict[str, Any]:
    if not isinstance(cfg or {}, dict):
        raise InputError(f'resources={cfg!r} must name configs of resources')
    cfg = dict(cfg or {})
    for name, entry in cfg.items():
        if not str(name).isidentifier() or name in RESERVED or \
                name.startswith(('held_out', 'top')):
            raise InputError(f'resources: the name {name!r} is taken, or is no '
                             'identifier; choose one like latency_phone')
        if name == 'flops':
            raise InputError('resources: flops is always there')
        check_entry(RESOURCES, entry, f'resources.{name}')
    return cfg


def cost_field(resource: str) -> str:
    """The field of a resource's cost in results and in lists of subnets."""
    return 'mflops' if resource == 'flops' else resource


def cost_tables(resources: Dict[str, Any],
                model: nn.Module) -> Dict[str, CostTable]:
    """What a model's subnets cost in each resource."""
    return {name: resource.table(model) for name, resource in resources.items()}
