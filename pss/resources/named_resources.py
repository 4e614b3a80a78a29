"""Resources by the names that a config gives them."""

from typing import Any, Dict, Protocol

from ..checks import shown
from ..errors import InputError
from ..registry import RESOURCES, check_entry
from ..structures import CostTable
from ..supernet import Supernet

# Fields of results and of files that list subnets; a resource is a field too.
RESERVED = ('level', 'mflops', 'pool', 'resolution', 'resource', 'score',
            'subnet', 'widths')


class Resource(Protocol):
    """What a class in ``pss.registry.RESOURCES`` offers.

    Attributes:
        unit: of the costs, for tables and plots.
    """
    unit: str

    def table(self, model: Supernet) -> CostTable:
        """The costs of a supernet's subnets."""


def build_resources(cfg: Any) -> Dict[str, Resource]:
    """The resources of a config, by name.

    Args:
        cfg: for each name the config of a registered class; ``None`` for no
            others than ``flops``, which is always there.

    Raises:
        InputError: if a name is no identifier or is reserved, or a type is
            unknown.
    """
    cfg = dict(flops=dict(type='pss.Flops'), **_checked(cfg))
    return {name: RESOURCES.build(dict(entry)) for name, entry in cfg.items()}


def _checked(cfg: Any) -> Dict[str, Dict[str, Any]]:
    if not isinstance(cfg or {}, dict):
        raise InputError(f'resources={shown(cfg)}: expected configs of '
                         'resources by name')
    checked: Dict[str, Dict[str, Any]] = dict(cfg or {})
    for name, entry in checked.items():
        if not str(name).isidentifier() or name in RESERVED or \
                name.startswith(('held_out', 'top')):
            raise InputError(f'resources: the name {name!r} is taken or no '
                             'identifier; expected one like latency_phone')
        if name == 'flops':
            raise InputError('resources: flops is always there; expected '
                             'another name')
        check_entry(RESOURCES, entry, f'resources.{name}')
    return checked


def cost_field(resource: str) -> str:
    """The field of a resource's cost in results and in lists of subnets."""
    return 'mflops' if resource == 'flops' else resource


def cost_tables(resources: Dict[str, Resource],
                model: Supernet) -> Dict[str, CostTable]:
    """The costs of a supernet's subnets in each resource."""
    return {name: resource.table(model) for name, resource in resources.items()}
