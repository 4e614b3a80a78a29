"""Choosing a kept subnet by limits on its costs."""

import difflib
import math
from abc import ABC, abstractmethod
from typing import Any, Dict, Mapping, Sequence, Tuple

from .errors import InputError


class SubnetTable(Tuple[Any, ...]):
    """The kept subnets of a bank, smallest first; printed as a table.

    Attributes:
        units (dict[str, str]): the unit of every resource.
        metric (str): the name of the accuracies.
    """

    units: Dict[str, str]
    metric: str

    @classmethod
    def of(cls, kept: Sequence[Any], units: Dict[str, str],
           metric: str) -> 'SubnetTable':
        """The table of some subnets."""
        table = cls(kept)
        table.units, table.metric = units, metric
        return table

    def __repr__(self) -> str:
        rows = [[
            'subnet', 'resolution', 'widths',
            *(f'{name} ({unit})' if unit else name
              for name, unit in self.units.items()), f'held-out {self.metric}',
            f'test {self.metric}'
        ]]
        for kept in self:
            rows.append([
                kept.name,
                str(kept.subnet.resolution),
                ' '.join(map(str, kept.subnet.widths)),
                *(f'{kept.costs[name]:.6g}'
                  for name in self.units), f'{kept.held_out_accuracy:.2f}', ''
                if kept.test_accuracy is None else f'{kept.test_accuracy:.2f}'
            ])
        sizes = [max(map(len, column)) for column in zip(*rows)]
        rows.insert(1, ['-' * size for size in sizes])
        return '\n'.join('  '.join(
            cell.ljust(size) if i in (0, 2) else cell.rjust(size)
            for i, (cell, size) in enumerate(zip(row, sizes))).rstrip()
                         for row in rows)


class BankSelection(ABC):
    """Base class of what runs one subnet of a bank at a time.

    Args:
        bank: the bank: a ``pss.deploy.Bank`` or a :class:`.DeviceBank`.

    Attributes:
        subnets (SubnetTable): the kept subnets, smallest first.
        resources (dict[str, str]): the unit of every resource.
        classes (tuple[str] or None): names of the classes.
    """

    def __init__(self, bank: Any) -> None:
        self.subnets = SubnetTable.of(bank.kept, bank.resources, bank.metric)
        self.resources = bank.resources
        self.classes = bank.classes

    @property
    @abstractmethod
    def active(self) -> Any:
        """The subnet that the next request runs; at first the most accurate."""

    @abstractmethod
    def _activate(self, kept: Any) -> None:
        """Makes a subnet of the bank active."""

    def select(self, **limits: float) -> Any:
        """The most accurate subnet, on held-out images, within all limits.

        Args:
            **limits: the most that it may cost, for any of the resources and in
                their units: ``flops=150, latency_cpu=20_000``.

        Raises:
            InputError: if no subnet fits: it names the nearest one and the
                limits that this needs; for a limit that is unknown or not a
                number above 0.
        """
        return most_accurate(self.subnets, check_limits(limits, self.resources),
                             self.resources)

    def switch(self, subnet: Any = None, /, **limits: float) -> Any:
        """Makes a subnet active: the given one, or the one that :meth:`select`
        chooses.

        Args:
            subnet: an entry of ``subnets``, its name, or its subnet.
            **limits: as for :meth:`select`.

        Returns:
            The subnet that is active now.

        Raises:
            InputError: if :meth:`select` fails; for a subnet that is not in the
                bank, and for one that exceeds a limit given with it.
        """
        kept = self.select(**limits) if subnet is None else next(
            (kept
             for kept in self.subnets if subnet in (kept.name, kept.subnet) or (
                 getattr(subnet, 'name', None),
                 getattr(subnet, 'subnet', None)) == (kept.name, kept.subnet)),
            None)
        if kept is None:
            raise InputError(f'{subnet!r} is not in the bank; expected one of '
                             f'{[kept.name for kept in self.subnets]}')
        if not fits(kept, check_limits(limits, self.resources)):
            raise InputError(f'{kept.name!r} contradicts the limits '
                             f'{limits}: it needs {dict(kept.costs)}')
        self._activate(kept)
        return kept


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


def fits(kept: Any, limits: Mapping[str, float]) -> bool:
    """Whether a subnet is within every limit."""
    return all(kept.costs[name] <= limit for name, limit in limits.items())


def most_accurate(subnets: Sequence[Any], limits: Mapping[str, float],
                  resources: Mapping[str, str]) -> Any:
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
