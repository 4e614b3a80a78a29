"""From the budgets of a config to resource levels."""

from dataclasses import replace
from typing import Any, Dict, Iterable, List, Sequence, Union

from ..checks import check_integer, check_keys, check_number, shown
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


# A search draws from the costs up to this share of the space's range below a
# limit that comes without a step.
LIMIT_STEP = 0.05


def parse_limits(words: Sequence[str]) -> Dict[str, Any]:
    """Reads limits from a command line, as :func:`read_limits` takes them.

    Args:
        words: such as ``flops=95,105,120`` and ``latency=12000:28000:1000``
            (start, stop, both included, and step).

    Raises:
        InputError: it names the word.
    """
    limits: Dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition('=')
        is_range = ':' in text
        try:
            levels = [float(x) for x in text.split(':' if is_range else ',')]
        except ValueError:
            levels = []
        if not name or not levels or is_range and len(levels) != 3:
            raise InputError(
                f'--budgets {shown(word)}: expected NAME=LEVEL,LEVEL,... or '
                'NAME=START:STOP:STEP, such as flops=95,105')
        if name in limits:
            raise InputError(f'--budgets: {name} appears twice; expected all '
                             'its levels in one')
        limits[name] = dict(zip(('start', 'stop', 'step'), levels)) \
            if is_range else levels
    return limits


def read_limits(cfg: Any, resources: Iterable[str], where: str) -> List[Budget]:
    """Reads the most that searched subnets may cost.

    Args:
        cfg: for each resource a list of levels, in its unit, or ``start``,
            ``stop`` (both included) and ``step``.
        resources: names of the resources that exist.
        where: the field of the config, for messages.

    Returns:
        Limits, ascending for each resource; those of a list have a step of 0,
        see :func:`place_limits`.

    Raises:
        InputError: it names the resource and the level.
    """
    if not isinstance(cfg, dict) or not cfg:
        raise InputError(f'{where}={shown(cfg)}: expected at least one '
                         'resource and its levels')
    check_keys(cfg, resources, where)
    found: List[Budget] = []
    for name, levels in cfg.items():
        field = f'{where}.{name}'
        if isinstance(levels, dict):
            check_keys(levels, ('start', 'stop', 'step'), field)
            start, stop, step = map(levels.get, ('start', 'stop', 'step'))
            levels = budgets_of(name, start, stop, step, field)
            found += [replace(level, is_limit=True) for level in levels]
            continue
        if not isinstance(levels, (list, tuple)) or not levels or \
                len(levels) > MOST_LEVELS:
            raise InputError(f'{field}={shown(levels)}: expected a list of 1 '
                             f'to {MOST_LEVELS} levels, or start, stop and '
                             'step')
        for i, level in enumerate(levels):
            check_number(f'{field}[{i}]', level, above=0)
        if len(set(levels)) < len(levels):
            raise InputError(f'{field}={shown(levels)}: expected different '
                             'levels')
        found += [
            Budget(name, float(level), 0., True) for level in sorted(levels)
        ]
    return found


def place_limits(limits: Iterable[Budget], costs: Dict[str, CostTable],
                 where: str) -> List[Budget]:
    """Gives the limits of :func:`read_limits` their steps, so that there are
    subnets in each.

    Args:
        limits: the limits.
        costs: what subnets cost in each of their resources.
        where: the field of the config, for messages.

    Raises:
        InputError: for a limit below the cheapest subnet, or above the dearest
            by more than a step; it names the range that the space reaches.
    """
    placed = []
    for limit in limits:
        cheapest, dearest = cost_range(costs[limit.resource])
        low, high = float(cheapest.min()), float(dearest.max())
        # where all subnets cost the same, any step will do
        step = limit.step or LIMIT_STEP * (high - low) or high
        if limit.level < low or limit.level - step >= high:
            raise InputError(
                f'{where}: {limit}: expected a level that subnets reach; they '
                f'cost {low:g} to {high:g}')
        placed.append(replace(limit, step=step))
    return placed
