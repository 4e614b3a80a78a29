"""Selecting between the subnets of a bank."""

from abc import ABC, abstractmethod
from typing import Dict, Optional, Tuple, Union

from tabulate import tabulate

from ..deploy.bank import Bank, KeptSubnet
from ..deploy.selection import check_limits, fits, most_accurate
from ..errors import InputError
from ..structures import Subnet


class SubnetTable(Tuple[KeptSubnet, ...]):
    """The kept subnets of a bank, smallest first; printed as a table.

    Attributes:
        units (dict[str, str]): the unit of every resource.
        metric (str): the name of the accuracies.
    """

    units: Dict[str, str]
    metric: str

    @classmethod
    def of(cls, bank: Bank) -> 'SubnetTable':
        """The subnets of a bank."""
        table = cls(bank.kept)
        table.units, table.metric = bank.resources, bank.metric
        return table

    def __repr__(self) -> str:
        names = [
            f'{name} ({unit})' if unit else name
            for name, unit in self.units.items()
        ]
        rows = [[
            kept.name, kept.subnet.resolution,
            ' '.join(map(str, kept.subnet.widths)), *(f'{kept.costs[name]:.6g}'
                                                      for name in self.units),
            f'{kept.held_out_accuracy:.2f}',
            '' if kept.test_accuracy is None else f'{kept.test_accuracy:.2f}'
        ] for kept in self]
        align = ['left', 'right', 'left', *(len(names) + 2) * ['right']]
        return tabulate(
            rows,
            headers=[
                'subnet', 'resolution', 'widths', *names,
                f'held-out {self.metric}', f'test {self.metric}'
            ],
            disable_numparse=True,
            colalign=align)


class BankSelection(ABC):
    """Base class of what runs one subnet of a bank at a time.

    Args:
        bank: the bank.

    Attributes:
        subnets (SubnetTable): the kept subnets, smallest first.
        resources (dict[str, str]): the unit of every resource.
        classes (tuple[str] or None): names of the classes.
    """

    def __init__(self, bank: Bank) -> None:
        self.subnets = SubnetTable.of(bank)
        self.resources = bank.resources
        self.classes = bank.classes

    @property
    @abstractmethod
    def active(self) -> KeptSubnet:
        """The subnet that the next request runs; at first the most accurate."""

    @abstractmethod
    def _activate(self, kept: KeptSubnet) -> None:
        """Makes a subnet of the bank active."""

    def select(self, **limits: float) -> KeptSubnet:
        """The most accurate subnet, on held-out images, within all limits.

        Args:
            **limits: the most that it may cost, for any of the bank's resources
                and in their units: ``flops=150, latency_cpu=20_000``.

        Raises:
            InputError: if no subnet fits: it names the nearest one and the
                limits that this needs; for a limit that is unknown or not a
                number above 0.
        """
        return most_accurate(self.subnets, check_limits(limits, self.resources),
                             self.resources)

    def switch(self,
               subnet: Union[KeptSubnet, Subnet, str, None] = None,
               /,
               **limits: float) -> KeptSubnet:
        """Makes a subnet active: the given one, or the one that :meth:`select`
        chooses.

        Args:
            subnet: an entry of :attr:`subnets`, its name, or its subnet.
            **limits: as for :meth:`select`.

        Returns:
            The subnet that is active now.

        Raises:
            InputError: if :meth:`select` fails; for a subnet that is not in the
                bank, and for one that exceeds a limit given with it.
        """
        kept = self._chosen(subnet, limits)
        self._activate(kept)
        return kept

    def _chosen(self, subnet: Union[KeptSubnet, Subnet, str, None],
                limits: Dict[str, float]) -> KeptSubnet:
        if subnet is None:
            return self.select(**limits)
        kept: Optional[KeptSubnet] = next(
            (kept for kept in self.subnets
             if subnet in (kept, kept.name, kept.subnet)), None)
        if kept is None:
            raise InputError(f'{subnet!r} is not in the bank; expected one of '
                             f'{[kept.name for kept in self.subnets]}')
        if not fits(kept, check_limits(limits, self.resources)):
            raise InputError(f'{kept.name!r} contradicts the limits '
                             f'{limits}: it needs {dict(kept.costs)}')
        return kept
