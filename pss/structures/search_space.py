"""The space of subnets: widths, resolutions and the prior over them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Dict, List, Sequence, Tuple

import numpy as np

from ..checks import shown
from ..errors import InputError
from .subnet import Subnet

# The paper draws a multiplier in this range for every width.
MULTIPLIERS = (0.75, 1.0)
DIVISOR = 8
# Rounding never takes away more than this share of the channels.
MIN_RATIO = 0.9


def make_divisible(value: float, divisor: int = DIVISOR) -> int:
    """Rounds a number of channels, by MobileNet's rule.

    To the nearest multiple of ``divisor`` (half up), or to the next one if that
    is below 90 % of ``value``.
    """
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < MIN_RATIO * value else nearest


@dataclass(frozen=True)
class Width:
    """A width that can be chosen: its channels and their probabilities.

    Attributes:
        choices: channels, ascending.
        prior: probability of each choice, summing to one.
    """
    choices: Tuple[int, ...]
    prior: Tuple[float, ...]

    @classmethod
    def of(cls,
           base: int,
           multipliers: Tuple[float, float] = MULTIPLIERS,
           divisor: int = DIVISOR) -> 'Width':
        """The width of a layer with ``base`` channels, multiplier uniform.

        The prior of a choice is the share of the multiplier's range that
        rounds to it, computed exactly from the points where rounding jumps.
        """
        low, high = (m * base for m in multipliers)
        steps = range(int(high // divisor) + 2)
        jumps = {(k - 0.5) * divisor for k in steps}
        jumps |= {k * divisor / MIN_RATIO for k in steps}
        ends = [low, *sorted(j for j in jumps if low < j < high), high]
        shares: Dict[int, float] = {}
        for left, right in zip(ends, ends[1:]):
            choice = make_divisible((left + right) / 2, divisor)
            shares[choice] = shares.get(choice, 0.) + right - left
        if low == high:
            shares = {make_divisible(low, divisor): 1.}
        choices = sorted(shares)
        total = sum(shares.values())
        return cls(tuple(choices), tuple(shares[c] / total for c in choices))

    @cached_property
    def ends(self) -> np.ndarray:
        """Where in the multiplier's range each choice ends, as shares of it;
        the last is 1. A higher multiplier never means fewer channels."""
        return np.cumsum(self.prior)

    def at(self, share: float) -> int:
        """Returns the channels at a place in the multiplier's range, 0 to 1."""
        place = int(np.searchsorted(self.ends, share, side='right'))
        return self.choices[min(place, len(self.choices) - 1)]


class SearchSpace:
    """All subnets of a supernet, and the prior that they are drawn from.

    Many subnets at once are *codes*: an integer array of shape
    ``(N, 1 + K)`` whose columns are the position of the resolution in
    ``resolutions`` and of each of the ``K`` widths in its choices.

    Args:
        widths: the widths that can be chosen, in the network's order.
        resolutions: input sizes in pixels, uniform.
        multipliers: the range of the widths' multipliers, uniform.

    Raises:
        InputError: if a resolution is not an integer above 0 or appears twice.
    """

    def __init__(self,
                 widths: Sequence[Width],
                 resolutions: Sequence[int],
                 multipliers: Tuple[float, float] = MULTIPLIERS) -> None:
        for r in resolutions:
            if isinstance(r, bool) or not isinstance(r, int) or r < 1:
                raise InputError(
                    f'resolutions: {shown(r)}: expected an integer '
                    'above 0')
        if not resolutions or len(set(resolutions)) != len(resolutions):
            raise InputError(
                f'resolutions={shown(list(resolutions))}: expected '
                'one or more different integers')
        self.widths = tuple(widths)
        self.resolutions = tuple(sorted(resolutions))
        self.multipliers = tuple(multipliers)

    @cached_property
    def shape(self) -> Tuple[int, ...]:
        """Number of resolutions and of choices of each width."""
        return (len(self.resolutions), *(len(width.choices)
                                         for width in self.widths))

    @property
    def size(self) -> int:
        """Number of subnets."""
        size = 1
        for n in self.shape:
            size *= n
        return size

    @cached_property
    def largest(self) -> Subnet:
        """Every width and the resolution at its largest."""
        return Subnet(self.resolutions[-1],
                      tuple(width.choices[-1] for width in self.widths))

    @cached_property
    def smallest(self) -> Subnet:
        """Every width and the resolution at its smallest."""
        return Subnet(self.resolutions[0],
                      tuple(width.choices[0] for width in self.widths))

    def at(self, multiplier: float, resolution: int) -> Subnet:
        """The subnet with one multiplier for all widths.

        Args:
            multiplier: inside ``multipliers``.
            resolution: in pixels.
        """
        low, high = self.multipliers
        share = (multiplier - low) / (high - low) if high > low else 0.
        return Subnet(resolution,
                      tuple(width.at(share) for width in self.widths))

    @cached_property
    def ladder(self) -> Tuple[float, ...]:
        """Ascending multipliers, one for each choice of widths that a single
        multiplier for all of them leads to."""
        low, high = self.multipliers
        ends = np.sort(
            np.concatenate([[0.], *(width.ends for width in self.widths)]))
        # not those that only rounding errors separate
        rungs = np.diff(ends) > 1e-9
        middles = ((ends[1:] + ends[:-1]) / 2)[rungs]
        return tuple((low + middles * (high - low)).tolist())

    @cached_property
    def priors(self) -> Tuple[np.ndarray, ...]:
        """Probability of each choice, for the resolution and each width."""
        n = len(self.resolutions)
        return (np.full(n, 1 / n), *(np.array(width.prior)
                                     for width in self.widths))

    @cached_property
    def log_priors(self) -> np.ndarray:
        """Logarithms of the widths' priors, ``(K, most choices of a width)``;
        minus infinity where a width has fewer choices."""
        most = max(self.shape[1:], default=0)
        found = np.full((len(self.widths), most), -np.inf)
        for row, prior in zip(found, self.priors[1:]):
            row[:len(prior)] = np.log(prior)
        return found

    def at_resolutions(self, positions: np.ndarray) -> 'SearchSpace':
        """The same widths at some of the resolutions, which are uniform."""
        low, high = self.multipliers
        return SearchSpace(self.widths,
                           [self.resolutions[i] for i in positions],
                           (low, high))

    def random(self, rng: np.random.Generator, num: int) -> np.ndarray:
        """Draws ``num`` subnets from the prior: codes."""
        return np.stack([rng.choice(len(p), num, p=p) for p in self.priors],
                        axis=1)

    def enumerate(self) -> np.ndarray:
        """Codes of all subnets, for spaces that are small enough."""
        axes = np.meshgrid(*map(np.arange, self.shape), indexing='ij')
        return np.stack([axis.ravel() for axis in axes], axis=1)

    def validate(self, subnet: Subnet) -> Subnet:
        """Returns ``subnet`` if it is in the space.

        Raises:
            InputError: if not; it names the field and the expected values.
        """
        self._code(subnet)
        return subnet

    def encode(self, subnets: Sequence[Subnet]) -> np.ndarray:
        """Returns the codes of subnets.

        Raises:
            InputError: for a subnet that is not in the space.
        """
        codes = [self._code(subnet) for subnet in subnets]
        return np.array(codes, dtype=np.int64).reshape(-1, len(self.shape))

    def decode(self, codes: np.ndarray) -> List[Subnet]:
        """Returns the subnets of codes."""
        columns = np.asarray(codes).T
        resolutions = np.array(self.resolutions)[columns[0]].tolist()
        widths = np.stack([
            np.array(width.choices)[column]
            for width, column in zip(self.widths, columns[1:])
        ],
                          axis=1).tolist()
        return [Subnet(r, tuple(w)) for r, w in zip(resolutions, widths)]

    @cached_property
    def _positions(self) -> Tuple[Dict[int, int], ...]:
        values = (self.resolutions, *(w.choices for w in self.widths))
        return tuple({v: i for i, v in enumerate(vs)} for vs in values)

    def _code(self, subnet: Subnet) -> List[int]:
        values = (subnet.resolution, *subnet.widths)
        if len(values) != len(self.shape):
            raise InputError(f'widths={list(subnet.widths)} has '
                             f'{len(subnet.widths)} entries; the space has '
                             f'{len(self.widths)} widths')
        try:
            return [p[v] for p, v in zip(self._positions, values)]
        except KeyError:
            pass
        if subnet.resolution not in self._positions[0]:
            raise InputError(f'resolution={subnet.resolution} is not in the '
                             f'space; expected one of {list(self.resolutions)}')
        for i, (width, value) in enumerate(zip(self.widths, subnet.widths)):
            if value not in width.choices:
                raise InputError(f'widths[{i}]={value} is not in the space; '
                                 f'expected one of {list(width.choices)}')
        raise AssertionError('unreachable')

    def __repr__(self) -> str:
        return (f'SearchSpace({self.size} subnets, resolutions='
                f'{list(self.resolutions)}, widths='
                f'{[list(w.choices) for w in self.widths]})')
