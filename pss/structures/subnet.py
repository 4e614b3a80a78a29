"""One subnet: a choice of resolution and widths."""

from dataclasses import dataclass
from typing import Any, Dict, Tuple

from ..checks import check_integer, check_keys, shown
from ..errors import InputError


@dataclass(frozen=True)
class Subnet:
    """A subnet of a supernet (the paper's "sub-network", Sec. III-A).

    It holds channels rather than multipliers: different multipliers that round
    to the same channels are the same subnet.

    Attributes:
        resolution: height and width of the input in pixels.
        widths: channels of each width of the space, in the space's order.
    """
    resolution: int
    widths: Tuple[int, ...]

    def as_dict(self) -> Dict[str, Any]:
        """Returns it as files hold it."""
        return {'resolution': self.resolution, 'widths': list(self.widths)}

    @classmethod
    def from_dict(cls, fields: Dict[str, Any]) -> 'Subnet':
        """Reads what :meth:`as_dict` returns.

        Raises:
            InputError: for a missing or an unknown field, or a value that is
                no integer above 0.
        """
        if not isinstance(fields, dict):
            raise InputError(f'{shown(fields)}: expected a subnet, with the '
                             'fields resolution and widths')
        check_keys(fields, ('resolution', 'widths'), 'subnet')
        for key in ('resolution', 'widths'):
            if key not in fields:
                raise InputError(f'field {key!r} of a subnet is missing; it '
                                 f'has {sorted(fields)}')
        widths = fields['widths']
        if not isinstance(widths, (list, tuple)):
            raise InputError(f'widths={shown(widths)}: expected a list of '
                             'integers')
        return cls(
            check_integer('resolution', fields['resolution'], 1),
            tuple(check_integer('widths', width, 1) for width in widths))
