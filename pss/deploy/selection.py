"""Choosing a kept subnet by what it may cost."""

import difflib
import math
from typing import Any, Dict, Mapping, Sequence

from ..errors import InputError
from .bank import KeptSubnet


def check_limits(limits: Mapping[str, Any],
                 resources: Mapping[str, str]) -> Dict[str, float]:
    """Limits as numbers.

    Raises:
        InputError: for a resource that the bank does not know, and a limit
            that is not a number above 0.
    """
    for name, limit in limits.items():
        if name not in resources:
            near = difflib.get_close_matches(name, resources, 1)
            hint = f' (did you mean {near[0]!r}?)' if near else ''
            legal = ', '.join(f'{key} ({unit})' if unit else key
                              for key, unit in resources.items())
            raise InputError(f'limit {name}={limit!r}: unknown resource{hint}; '
                             f'the bank knows {legal}')
        try:
            legal = not isinstance(limit, (bool, str)) and float(limit) > 0
        except (TypeError, ValueError, OverflowError):
            legal = False
        if not legal:  # NaN is not above 0 either
            raise InputError(f'limit {name}={limit!r} must be a number above '
                             '0')
    return {name: float(limit) for name, limit in limits.items()}


def fits(kept: KeptSubnet, limits: Mapping[str, float]) -> bool:
    """Whether a subnet costs no more than every limit."""
    return all(kept.costs[name] <= limit for name, limit in limits.items())


def most_accurate(subnets: Sequence[KeptSubnet], limits: Mapping[str, float],
                  resources: Mapping[str, str]) -> KeptSubnet:
    """The subnet with the best held-out accuracy that fits all limits.

    Of equally accurate ones, the cheapest in the resources in turn.

    Args:
        subnets: to choose from.
        limits: see :func:`check_limits`.
        resources: the unit of every resource.

    Raises:
        InputError: if none fits; it names the nearest, the one that exceeds
            its limits by the smallest factor, and what that needs.
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
    """A cost to five digits, never below it: as a limit it fits."""
    if not 1e-9 < cost < 1e15:
        return f'{cost:g}'
    digits = 4 - math.floor(math.log10(cost))
    return f'{math.ceil(cost * 10 ** digits) / 10 ** digits:g}' \
        if digits > 0 else f'{math.ceil(cost)}'
