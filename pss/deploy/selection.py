"""Choosing a kept subnet by limits on its costs."""

import difflib
import math
from typing import Any, Dict, Mapping, Sequence

from ..errors import InputError
from .bank import KeptSubnet


def check_limits(limits: Mapping[str, Any],
                 resources: Mapping[str, str]) -> Dict[str, float]:
    """Checks limits on costs, and returns them as floats.

    Args:
        limits: the most that a subnet may cost, by resource; infinity is no
            limit.
        resources: the unit of every resource.

    Raises:
        InputError: for an unknown resource, and for a limit that is not a
            number above 0.
    """
    for name, limit in limits.items():
        if name not in resources:
            near = difflib.get_close_matches(name, resources, 1)
            hint = f' (did you mean {near[0]!r}?)' if near else ''
            known = ', '.join(f'{key} ({unit})' if unit else key
                              for key, unit in resources.items())
            raise InputError(f'limit {name}={limit!r}: unknown resource{hint}; '
                             f'expected {known}')
        try:
            is_positive = not isinstance(limit, (bool, str)) and \
                float(limit) > 0
        except (TypeError, ValueError, OverflowError):
            is_positive = False
        if not is_positive:  # NaN is not above 0 either
            raise InputError(f'limit {name}={limit!r}: expected a number above '
                             '0')
    return {name: float(limit) for name, limit in limits.items()}


def fits(kept: KeptSubnet, limits: Mapping[str, float]) -> bool:
    """Whether a subnet is within every limit."""
    return all(kept.costs[name] <= limit for name, limit in limits.items())


def most_accurate(subnets: Sequence[KeptSubnet], limits: Mapping[str, float],
                  resources: Mapping[str, str]) -> KeptSubnet:
    """The subnet with the best held-out accuracy among those within all limits.

    Ties go to the cheapest, compared in the limited resources in turn.

    Args:
        subnets: to choose from.
        limits: as :func:`check_limits` returns them.
        resources: the unit of every resource.

    Raises:
        InputError: if none fits; it names the one that exceeds its limits by
            the smallest factor, and the limits that this one needs.
    """
    fitting = [kept for kept in subnets if fits(kept, limits)]
    if fitting:
        return max(
            fitting,
            key=lambda kept: (kept.held_out_accuracy, *(-kept.costs[name]
                                                        for name in
                                                        (limits or resources))))
    nearest = min(
        subnets,
        key=lambda kept: sum(
            math.log(max(kept.costs[name], limit)) - math.log(limit)
            for name, limit in limits.items()))
    needs = ', '.join(
        f'{name}={_rounded_up(nearest.costs[name])} {resources[name]}'.strip()
        for name in limits)
    asked = ', '.join(f'{name}={limit:g}' for name, limit in limits.items())
    together = ''
    if len(limits) > 1 and all(
            any(kept.costs[name] <= limit for kept in subnets)
            for name, limit in limits.items()):
        together = ' (each limit can be met, but not all at once)'
    raise InputError(f'no subnet fits {asked}{together}; the nearest is '
                     f'{nearest.name!r}, which needs {needs}')


def _rounded_up(cost: float) -> str:
    """A cost to five digits, rounded up: as a limit, the cost is within it."""
    if not 1e-9 < cost < 1e15:
        return f'{cost:g}'
    digits = 4 - math.floor(math.log10(cost))
    return f'{math.ceil(cost * 10 ** digits) / 10 ** digits:g}' \
        if digits > 0 else f'{math.ceil(cost)}'
