"""Drawing subnets conditioned on a resource level, exactly."""

import functools
from functools import cached_property
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from ..errors import InputError
from ..structures import Budget, CostTable
from .factor_graph import (
    FactorGraph,
    Tilt,
    cost_range,
    main_effects,
    tilted_prior,
    truncated_prior,
)

# A level counts as reached if one of this many tilted draws falls into it.
MAX_PROPOSALS = 1 << 20
# One in so many has to be kept at guessed rates, when there are few draws, and
# from so many on.
PATIENCE, PATIENCE_FOR_MANY, MANY = 64, 8, 1000
# Tilts to try, times the range of costs: from almost none to those where only
# the very cheapest or dearest subnets are left.
_STRENGTHS = np.concatenate([[0.], np.geomspace(0.25, 2000., 40)])
_STRENGTHS = np.concatenate([-_STRENGTHS[:0:-1], _STRENGTHS])
_TINY = np.finfo(float).tiny

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

    def tilted(self, budget: Budget, tilt: Tilt) -> Draw:
        """Returns draws from the prior times ``exp(tilt)``, conditioned on a
        level, as exact as those from the prior.

        A score that is additive in the widths, divided by a temperature, is
        such a tilt.

        Args:
            budget: a level that was added.
            tilt: the logarithms.
        """
        return self._proposals.tilted_draw_of(budget, tilt)


class Unreachable(Exception):
    """Raised where no subnet is in a level."""


class TooRare(RuntimeError):
    """Raised where too few proposals are kept."""


class _Tilts:
    """Tilted priors for the levels of a cost that is a sum."""

    def __init__(self, cost: CostTable, ends: Tuple[np.ndarray,
                                                    np.ndarray]) -> None:
        self._cost = cost
        self._cheapest, self._dearest = ends
        extent = max(float(self._dearest.max() - self._cheapest.min()), 1e-9)
        self._rates = _STRENGTHS / extent
        self._log_normalisers = _normalise(cost, self._rates)
        self._levels: Dict[Budget, _Level] = {}

    def draw_of(self, budget: Budget) -> Draw:
        """Returns a function that draws from a level."""
        low, high = self._ends(budget)
        best = _best_places(self._rates, self._log_normalisers, low, high)
        reached = (self._dearest >= budget.low) & (self._cheapest < budget.high)
        proposal = _Proposal(self._cost, budget, self._rates[best], low, high,
                             reached)
        if not proposal.is_reached():
            raise Unreachable
        where = np.flatnonzero(reached)
        self._levels[budget] = _Level(
            self._cost.at_resolutions(where), budget, where, self._rates,
            low[where], high[where])
        return proposal.draw

    def tilted_draw_of(self, budget: Budget, tilt: Tilt) -> Draw:
        """Returns a function that draws from a level, the prior tilted."""
        return self._levels[budget].tilted_draw(tilt)

    def _ends(self, budget: Budget) -> Tuple[np.ndarray, np.ndarray]:
        """The cheapest and the dearest cost of a level, at each resolution."""
        return (np.maximum(budget.low, self._cheapest),
                np.minimum(budget.high, self._dearest))


def _normalise(cost: CostTable, rates: np.ndarray) -> np.ndarray:
    """Log-normalisers of tilted priors, ``(rates, resolutions)``."""
    resolutions = len(cost.space.resolutions)
    return np.stack([
        tilted_prior(cost, np.full(resolutions, rate)).log_normaliser
        for rate in rates
    ])


def _best_places(rates: np.ndarray, log_normalisers: np.ndarray,
                 low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Which rate makes a level likeliest, at each resolution."""
    ends = np.where(rates[:, None] > 0, high, low)
    best: np.ndarray = (log_normalisers + rates[:, None] * ends).argmin(0)
    return best


class _Level:
    """Draws from one level, with other priors.

    Args:
        cost: what subnets cost, of the resolutions that reach the level only.
        budget: the level.
        where: positions of these resolutions in the whole space.
        rates: rates of tilted priors, ascending.
        low, high: the cheapest and the dearest cost in the level, ``(R, )``.
    """

    def __init__(self, cost: CostTable, budget: Budget, where: np.ndarray,
                 rates: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        self._cost = cost
        self._budget = budget
        self._where = where
        self._rates = rates
        self._low, self._high = low, high

    @cached_property
    def _effects(self) -> Tuple[np.ndarray, np.ndarray]:
        """Mean cost ``(R, )`` and, of each choice of a width, what it adds to
        that ``(K, R, choices)``; 0 where there is no choice."""
        means, effects = main_effects(self._cost)
        padded = np.zeros(
            (len(effects), len(means), self._cost.space.log_priors.shape[1]))
        for row, effect in zip(padded, effects):
            row[:, :effect.shape[1]] = effect
        return means, padded

    def tilted_draw(self, tilt: Tilt) -> Draw:
        """Returns a function that draws from the prior times ``exp(tilt)``.

        Draws are exact whatever the rates, which are only guessed. If too few
        proposals are kept, the best ones are searched for.
        """
        tilt = tilt.at(self._where)
        places = self._guess_places(tilt)
        guessed = self._propose(places, tilt)

        @functools.cache
        def best() -> _Proposal:
            return self._propose(self._improve(places, tilt), tilt)

        def draw(rng: np.random.Generator, num: int) -> np.ndarray:
            try:
                codes = guessed.draw(
                    rng, num, PATIENCE if num < MANY else PATIENCE_FOR_MANY)
            except TooRare:
                codes = best().draw(rng, num)
            codes[:, 0] = self._where[codes[:, 0]]
            return codes

        return draw

    def _propose(self, places: np.ndarray, tilt: Tilt) -> '_Proposal':
        return _Proposal(self._cost, self._budget,
                         self._rates[places], self._low, self._high,
                         np.full(len(places), True), tilt)

    def _guess_places(self, tilt: Tilt) -> np.ndarray:
        """Which rate tilts the mean cost at each resolution into the level, or
        nearest to it.

        Every width is taken to add its mean effect to the cost.
        """
        means, effects = self._effects
        logarithms = tilt.log_priors(self._cost.space)
        prior = np.exp(logarithms - logarithms.max(-1, keepdims=True))

        def mean_cost(rates: np.ndarray, effects: np.ndarray) -> np.ndarray:
            weights = prior * np.exp(-rates[:, None] * effects)
            # at the end that effects are counted from if all weights underflow
            added = (weights * effects).sum(-1) / (weights.sum(-1) + _TINY)
            found: np.ndarray = added.sum(0)
            return found

        mean = means + mean_cost(np.zeros(len(means)), effects)
        target = np.clip(mean, self._low, self._high)
        is_above, is_below = mean > target, mean < target
        # A higher rate means a lower cost: towards `high` from above it, and
        # towards `low` from below. Counted from the end that it leads to,
        # effects have the rate's sign, and no exponential overflows.
        ends = np.where(is_above, effects.min(-1), effects.max(-1))
        effects = effects - ends[..., None]
        target -= means + ends.sum(0)
        zero = len(self._rates) // 2
        first = np.where(is_below, 0, zero)
        last = np.where(is_above, len(self._rates) - 1, zero)
        while (first < last).any():
            middle = (first + last) // 2
            is_above = mean_cost(self._rates[middle], effects) > target
            first = np.where(is_above, np.minimum(middle + 1, last), first)
            last = np.where(is_above, last, middle)
        return first

    def _improve(self, places: np.ndarray, tilt: Tilt) -> np.ndarray:
        """Goes from some rates to those that make the level likeliest; the
        bound that says so is convex."""

        def bound_at(places: np.ndarray) -> np.ndarray:
            rates = self._rates[places]
            ends = np.where(rates > 0, self._high, self._low)
            prior = tilted_prior(self._cost, rates, tilt)
            found: np.ndarray = prior.log_normaliser + rates * ends
            return found

        bound = bound_at(places)
        for step in (1, -1):
            goes_on = np.full(len(places), True)
            while goes_on.any():
                tried = np.clip(places + step * goes_on, 0,
                                len(self._rates) - 1)
                found = bound_at(tried)
                goes_on = found < bound
                places = np.where(goes_on, tried, places)
                bound = np.where(goes_on, found, bound)
        return places


class _Peaks:
    """Truncated priors for the levels of a cost that is a maximum."""

    def __init__(self, cost: CostTable) -> None:
        self._cost = cost

    def draw_of(self, budget: Budget) -> Draw:
        """Returns a function that draws from a level."""
        return self._mixture(budget)

    def tilted_draw_of(self, budget: Budget, tilt: Tilt) -> Draw:
        """Returns a function that draws from a level, the prior tilted."""
        return self._mixture(budget, tilt)

    def _mixture(self, budget: Budget, tilt: Optional[Tilt] = None) -> Draw:
        cost = self._cost
        below, inside = (-np.inf, budget.low), (budget.low, budget.high)
        up_to = (-np.inf, budget.high)
        num = len(cost.tables)
        # other tables are never the first to reach the level
        firsts = [
            i for i, (_, table) in enumerate(cost.scaled)
            if ((table >= budget.low) & (table < budget.high)).any()
        ]
        if not firsts:
            raise Unreachable
        events = [
            truncated_prior(cost, [below] * first + [inside] + [up_to] *
                            (num - first - 1), tilt) for first in firsts
        ]
        # (events, resolutions)
        logarithms = np.array([event.log_normaliser for event in events])
        if tilt is not None:
            logarithms += tilt.resolution
            logarithms -= logarithms.max()
        weights = np.exp(logarithms) * cost.space.priors[0]
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
    """The tilted prior of one level, with rejection.

    Args:
        cost: what subnets cost.
        budget: the level.
        rates: of the tilt of each resolution.
        low, high: the cheapest and the dearest cost in the level, ``(R, )``.
        reached: whether each resolution reaches the level.
        tilt: of the prior.
    """

    def __init__(self,
                 cost: CostTable,
                 budget: Budget,
                 rates: np.ndarray,
                 low: np.ndarray,
                 high: np.ndarray,
                 reached: np.ndarray,
                 tilt: Optional[Tilt] = None) -> None:
        self._cost = cost
        self._budget = budget
        self._rates = rates
        # where draws are surely kept
        self._ends = np.where(rates > 0, high, low)
        self._prior = tilted_prior(cost, rates, tilt)
        log_weights = np.where(reached, 0., -np.inf)
        if tilt is not None:
            log_weights = log_weights + tilt.resolution
        log_weights = log_weights + (
            self._prior.log_normaliser + rates * self._ends +
            np.log(cost.space.priors[0]))
        weights = np.exp(log_weights - log_weights.max())
        self._resolutions = (weights / weights.sum()).cumsum()
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

    def draw(self,
             rng: np.random.Generator,
             num: int,
             most: int = 100 * MAX_PROPOSALS) -> np.ndarray:
        """Draws ``num`` subnets; raises :class:`TooRare` where fewer than one
        in ``most`` proposals is kept."""
        found: List[np.ndarray] = []
        missing, proposed = num, 0
        while missing > 0:
            size = int(min(max(1.2 * missing / self._share, 32), 1 << 16))
            found.append(self._propose(rng, size))
            missing -= len(found[-1])
            proposed += size
            if missing > 0 and proposed > most * (1 + num - missing):
                raise TooRare(f'{num - missing} subnets of {self._budget} in '
                              f'{proposed} draws')
        return np.concatenate(found)[:num]
