"""Drawing subnets conditioned on a resource level, exactly."""

from typing import Dict, List

import numpy as np

from ..errors import InputError
from ..structures import Budget, CostTable
from .tilted_prior import TiltedPrior, cost_range

# A level counts as reached if one of this many tilted draws falls into it.
MAX_PROPOSALS = 1 << 20
# Tilts that are tried, times the range of costs: from almost none to where
# only the very cheapest or dearest subnets are left.
_STRENGTHS = np.concatenate([[0.], np.geomspace(0.25, 2000., 40)])
_STRENGTHS = np.concatenate([-_STRENGTHS[:0:-1], _STRENGTHS])


class ConditionalSampler:
    """Draws from a space's prior, conditioned on the cost's level.

    Rejection sampling from a tilted prior. Inside a level the weight ``prior /
    proposal`` is ``exp(rate * cost)``, which is largest at one end of it; so
    draws inside are kept with probability ``exp(rate * (cost - end))``. For
    every resolution the rate is the one that makes the level likeliest (the
    Chernoff bound), and resolutions are proposed in proportion to that bound:
    then the kept draws have exactly the conditional distribution, resolutions
    included, and a good part of all draws is kept even for the rarest levels.

    Args:
        cost: what subnets cost.
        budgets: the levels that will be drawn for.

    Raises:
        InputError: for a level that no subnet reaches, naming the reachable
            range.
    """

    def __init__(self, cost: CostTable, budgets: List[Budget]) -> None:
        self.cost = cost
        self._cheapest, self._dearest = cost_range(cost)
        spread = max(float(self._dearest.max() - self._cheapest.min()), 1e-9)
        resolutions = len(cost.space.resolutions)
        self._rates = _STRENGTHS / spread
        # (strengths, resolutions)
        self._log_normalisers = np.stack([
            TiltedPrior(cost, np.full(resolutions, rate)).log_normaliser
            for rate in self._rates])
        self._proposals: Dict[Budget, _Proposal] = {
            budget: self._proposal(budget) for budget in budgets}

    def _proposal(self, budget: Budget) -> '_Proposal':
        reached = (self._dearest >= budget.low) & (self._cheapest < budget.high)
        if reached.any():
            # the dearest and the cheapest cost that a subnet of the level has
            high = np.minimum(budget.high, self._dearest)
            low = np.maximum(budget.low, self._cheapest)
            rates = self._rates[:, None]
            ends = np.where(rates > 0, high, low)
            log_bounds = self._log_normalisers + rates * ends
            best = log_bounds.argmin(0)
            columns = np.arange(len(best))
            log_weights = np.where(reached, log_bounds[best, columns], -np.inf)
            log_weights += np.log(self.cost.space.priors[0])
            proposal = _Proposal(
                self.cost, budget, self._rates[best], ends[best, columns],
                np.exp(log_weights - log_weights.max()))
            if proposal.is_reached():
                return proposal
        raise InputError(
            f'level={budget.level:g} of {budget.resource!r}: no subnet costs '
            f'between {budget.low:g} and {budget.high:g}; the space reaches '
            f'{self._cheapest.min():g} to {self._dearest.max():g}')

    def draw(self, budget: Budget, rng: np.random.Generator,
             num: int = 1) -> np.ndarray:
        """Codes of ``num`` subnets of a level, ``(num, 1 + K)``."""
        return self._proposals[budget].draw(rng, num)


class _Proposal:
    """The tilted prior of one level, and what of it is kept."""

    def __init__(self, cost: CostTable, budget: Budget, rates: np.ndarray,
                 ends: np.ndarray, weights: np.ndarray) -> None:
        self._cost = cost
        self._budget = budget
        self._rates = rates
        self._ends = ends
        self._resolutions = (weights / weights.sum()).cumsum()
        self._prior = TiltedPrior(cost, rates)
        self._share = 1.  # of the proposals that are kept

    def is_reached(self) -> bool:
        """Whether any proposal is kept; notes how many are."""
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
        return codes[inside & (rng.random(num) < keep)]

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
