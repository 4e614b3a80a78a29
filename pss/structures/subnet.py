"""One subnet: a choice of resolution and widths."""

from dataclasses import dataclass
from typing import Any, Dict, Tuple

from ..checks import shown
from ..errors import InputError


@dataclass(frozen=True)
class Subnet:
    """A subnet of a supernet (the paper's "sub-network", Sec. III-A).

    Two choices of multipliers that give the same channels are the same subnet,
    so it is the channels that are kept.

    Attributes:
        resolution: height and width of the input in pixels.
        widths: channels of each width of the space, in the space's order.
    """
    resolution: int
    widths: Tuple[int, ...]

    def as_dict(self) -> Dict[str, Any]:
        """The form that files hold."""
        return {'resolution': self.resolution, 'widths': list(self.widths)}

    @classmethod
    def from_dict(cls, fields: Dict[str, Any]) -> 'Subnet':
        """Reads :meth:`as_dict`'s form.

        Raises:
            InputError: for a missing or an unknown field, and for one that is
                no positive integer.
        """
        legal = ('resolution', 'widths')
        if not isinstance(fields, dict):
            raise InputError('a subnet is an object with the fields '
                             f'{" and ".join(legal)}, not {shown(fields)}')
        for key in fields:
            if key not in legal:
                raise InputError(f'unknown field {shown(key)} of a subnet; the '
                                 f'expected {" and ".join(legal)}')
        for key in legal:
            if key not in fields:
                raise InputError(f'field {key!r} of a subnet is missing; it '
                                 f'has {sorted(fields)}')
        widths = fields['widths']
        if not isinstance(widths, (list, tuple)):
            raise InputError(f'widths={shown(widths)} must be a list of '
                             'integers')
        return cls(
            _integer('resolution', fields['resolution']),
            tuple(_integer('widths', width) for width in widths))


def _integer(field: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f'{field}: {shown(value)} is not an integer')
    if value < 1:
        raise InputError(f'{field}: {shown(value)} must be at least 1')
    return value
