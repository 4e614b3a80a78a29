"""Drawing subnets conditioned on a resource level, exactly."""

from typing import Callable, Dict, List, Sequence, Tuple, Union

import numpy as np

from ..errors import InputError
from ..structures import Budget, CostTable
from .factor_graph import FactorGraph, cost_range, tilted_prior, truncated_prior

# A level counts as reached if one of this many tilted draws falls into it.
MAX_PROPOSALS = 1 << 20
# Tilts to try, times the range of costs: from almost none to those where only
# the very cheapest or dearest subnets are left.
_STRENGTHS = np.concatenate([[0.], np.geomspace(0.25, 2000., 40)])
_STRENGTHS = np.concatenate([-_STRENGTHS[:0:-1], _STRENGTHS])

# Draws a number of subnets of one level: codes ``(num, 1 + K)``.
Draw = Callable[[np.random.Generator, int], np.ndarray]


class ConditionalSampler:
    """Draws from a space's prior, conditioned on the level of a cost.

    **A cost that is a sum**: rejection sampling from a tilted prior. Inside a
    level the weight ``prior / proposal`` is ``exp(rate * cost)``, which is
    largest at one of its ends, so draws inside are kept with probability
    ``exp(rate * (cost - end))``. Each resolution has the rate that makes the
    level likeliest (the Chernoff bound), and resolutions are proposed in
    proportion to that bound. The draws that are kept then follow the
    conditional distribution exactly, resolutions included, and even in the
    rarest levels a good share of them is kept.

    **A cost that is a maximum**: the level is the union of disjoint events, one
    for each table: this table is the first to reach the level, those before it
    stay below, those after it do not exceed it. Each is drawn from directly.

    Args:
        cost: what subnets cost.
        budgets: the levels to draw from.

    Raises:
        InputError: for a level that no subnet reaches; it names the range
            that subnets do reach.
    """

    def __init__(self, cost: CostTable, budgets: Sequence[Budget] = ()) -> None:
        self._range = cost_range(cost)
        self._proposals: Union[_Tilts, _Peaks] = \
            _Tilts(cost, self._range) if cost.combine == 'sum' \
            else _Peaks(cost)
        self._draws: Dict[Budget, Draw] = {}
        for budget in budgets:
            self.add(budget)

    def add(self, budget: Budget) -> None:
        """Prepares draws from one more level.

        Raises:
            InputError: as for the class.
        """
        cheapest, dearest = self._range
        reached = (dearest >= budget.low) & (cheapest < budget.high)
        try:
            if not reached.any():
                raise Unreachable
            self._draws[budget] = self._proposals.draw_of(budget)
        except Unreachable:
            raise InputError(
                f'level={budget.level:g} of {budget.resource!r}: no subnet '
                f'costs between {budget.low:g} and {budget.high:g}; the '
                f'space reaches {cheapest.min():g} to {dearest.max():g}'
            ) from None

    def draw(self,
             budget: Budget,
             rng: np.random.Generator,
             num: int = 1) -> np.ndarray:
        """Draws ``num`` subnets of a level: codes ``(num, 1 + K)``."""
        return self._draws[budget](rng, num)


class Unreachable(Exception):
    """Raised where no subnet is in a level."""


class _Tilts:
    """Tilted priors for the levels of a cost that is a sum."""

    def __init__(self, cost: CostTable, ends: Tuple[np.ndarray,
                                                    np.ndarray]) -> None:
        self._cost = cost
        self._cheapest, self._dearest = ends
        extent = max(float(self._dearest.max() - self._cheapest.min()), 1e-9)
        resolutions = len(cost.space.resolutions)
        self._rates = _STRENGTHS / extent
        # (strengths, resolutions)
        self._log_normalisers = np.stack([
            tilted_prior(cost, np.full(resolutions, rate)).log_normaliser
            for rate in self._rates
        ])

    def draw_of(self, budget: Budget) -> Draw:
        """Returns a function that draws from a level."""
        reached = (self._dearest >= budget.low) & (self._cheapest < budget.high)
        # the dearest and the cheapest cost of a subnet of the level
        high = np.minimum(budget.high, self._dearest)
        low = np.maximum(budget.low, self._cheapest)
        rates = self._rates[:, None]
        ends = np.where(rates > 0, high, low)
        log_bounds = self._log_normalisers + rates * ends
        best = log_bounds.argmin(0)
        columns = np.arange(len(best))
        log_weights = np.where(reached, log_bounds[best, columns], -np.inf)
        log_weights += np.log(self._cost.space.priors[0])
        proposal = _Proposal(self._cost, budget, self._rates[best],
                             ends[best, columns],
                             np.exp(log_weights - log_weights.max()))
        if not proposal.is_reached():
            raise Unreachable
        return proposal.draw


class _Peaks:
    """Truncated priors for the levels of a cost that is a maximum."""

    def __init__(self, cost: CostTable) -> None:
        self._cost = cost

    def draw_of(self, budget: Budget) -> Draw:
        """Returns a function that draws from a level."""
        below, inside = (-np.inf, budget.low), (budget.low, budget.high)
        up_to = (-np.inf, budget.high)
        num = len(self._cost.tables)
        events = [
            truncated_prior(self._cost, [below] * first + [inside] + [up_to] *
                            (num - first - 1)) for first in range(num)
        ]
        # (events, resolutions)
        weights = np.exp([event.log_normaliser for event in events]) \
            * self._cost.space.priors[0]
        possible = weights.sum(1) > 0
        if not possible.any():
            raise Unreachable
        events = [e for e, keep in zip(events, possible) if keep]
        return _Mixture(events, weights[possible]).draw


class _Mixture:
    """Disjoint events, with the probability of each at each resolution."""

    def __init__(self, events: List[FactorGraph], weights: np.ndarray) -> None:
        self._events = events
        self._resolutions = weights.shape[1]
        self._steps = (weights / weights.sum()).ravel().cumsum()
        self._last = np.flatnonzero(weights.ravel())[-1]

    def draw(self, rng: np.random.Generator, num: int) -> np.ndarray:
        cells = self._steps.searchsorted(rng.random(num), 'right')
        which, resolutions = np.divmod(
            np.minimum(cells, self._last), self._resolutions)
        codes = np.empty((num, 1 + self._events[0].num_widths), np.int64)
        for i in np.unique(which):
            mine = which == i
            codes[mine] = self._events[i].draw(rng, resolutions[mine])
        return codes


class _Proposal:
    """The tilted prior of one level, with rejection."""

    def __init__(self, cost: CostTable, budget: Budget, rates: np.ndarray,
                 ends: np.ndarray, weights: np.ndarray) -> None:
        self._cost = cost
        self._budget = budget
        self._rates = rates
        self._ends = ends
        self._resolutions = (weights / weights.sum()).cumsum()
        self._prior = tilted_prior(cost, rates)
        self._share = 1.  # of the proposals that are kept

    def is_reached(self) -> bool:
        """Whether any proposal is kept; records what share is."""
        rng = np.random.default_rng(0)
        size, proposed, kept = 1024, 0, 0
        while not kept and proposed < MAX_PROPOSALS:
            kept = len(self._propose(rng, size))
            proposed += size
            size *= 2
        self._share = max(kept, 1) / proposed
        return kept > 0

    def _propose(self, rng: np.random.Generator, num: int) -> np.ndarray:
        r = self._resolutions.searchsorted(rng.random(num), 'right')
        codes = self._prior.draw(rng, np.minimum(r, len(self._rates) - 1))
        r = codes[:, 0]
        cost = self._cost(codes)
        keep = np.exp(self._rates[r] * (cost - self._ends[r]))
        inside = (cost >= self._budget.low) & (cost < self._budget.high)
        kept: np.ndarray = codes[inside & (rng.random(num) < keep)]
        return kept

    def draw(self, rng: np.random.Generator, num: int) -> np.ndarray:
        found: List[np.ndarray] = []
        missing, proposed = num, 0
        while missing > 0:
            size = int(min(max(1.2 * missing / self._share, 32), 1 << 16))
            found.append(self._propose(rng, size))
            missing -= len(found[-1])
            proposed += size
            if missing == num and proposed > 100 * MAX_PROPOSALS:
                raise RuntimeError(f'no subnet of {self._budget} in '
                                   f'{proposed} draws')
        return np.concatenate(found)[:num]
