"""From the budgets of a config to resource levels."""

from typing import Any, Dict, Iterable, List, Union

from ..checks import check_integer, check_keys, shown
from ..errors import InputError
from ..structures import Budget, CostTable, budgets_of, spread_budgets
from ..structures.budget import MOST_LEVELS
from .factor_graph import cost_range

# The levels of a resource, or how many of them to spread over its costs.
Levels = Union[List[Budget], int]


def read_budgets(cfg: Any, resources: Iterable[str]) -> Dict[str, Levels]:
    """Reads the budgets of a config, as far as that needs no model.

    Args:
        cfg: for each resource ``start``, ``stop`` (both included) and
            ``step``, in its unit; or ``pools``, a number of levels.
        resources: names of the resources that exist.

    Raises:
        InputError: it names the resource and the key.
    """
    if not isinstance(cfg, dict) or not cfg:
        raise InputError(f'budgets={shown(cfg)}: expected at least one '
                         'resource and its levels')
    check_keys(cfg, resources, 'budgets')
    return {name: _read(name, levels) for name, levels in cfg.items()}


def _read(resource: str, levels: Any) -> Levels:
    where, keys = f'budgets.{resource}', ('start', 'stop', 'step')
    if not isinstance(levels, dict):
        raise InputError(f'{where}={shown(levels)}: expected start, stop and '
                         'step, or pools')
    check_keys(levels, (*keys, 'pools'), where)
    if 'pools' not in levels:
        for key in keys:
            if key not in levels:
                raise InputError(f'{where}: {key!r} is missing; it has '
                                 f'{sorted(levels)}')
        return budgets_of(resource, **levels)
    if len(levels) > 1:
        raise InputError(f'{where}: it has pools, so it takes no '
                         f'{", ".join(k for k in keys if k in levels)}')
    return check_integer(f'{where}.pools', levels['pools'], 1, MOST_LEVELS)


def place_budgets(levels: Dict[str, Levels],
                  costs: Dict[str, CostTable]) -> Dict[str, List[Budget]]:
    """Spreads the levels that :func:`read_budgets` left open over the costs
    that the space reaches.

    Args:
        levels: for each resource.
        costs: what subnets cost in each of these resources.

    Raises:
        InputError: if the costs are too close together for so many.
    """
    return {
        resource:
        _spread(resource, found, costs[resource])
        if isinstance(found, int) else found
        for resource, found in levels.items()
    }


def _spread(resource: str, pools: int, cost: CostTable) -> List[Budget]:
    cheapest, dearest = cost_range(cost)
    return spread_budgets(resource, float(cheapest.min()), float(dearest.max()),
                          pools)
