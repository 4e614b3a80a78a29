"""Exact draws from a space's prior, tilted towards a cost.

The tilted prior of a space is ``q(w) ~ prior(w) * exp(-rate * cost(w))``. The
cost is a sum of tables over few widths each (:class:`CostTable`), so ``q`` is a
factor graph: eliminating one width after the other gives its normaliser, and
drawing the widths in the reverse order gives exact draws (forward filtering,
backward sampling; Koller & Friedman, "Probabilistic Graphical Models", ch. 9).
"""

from functools import cached_property
from typing import Callable, List, NamedTuple, Sequence, Tuple

import numpy as np

from ..structures import CostTable, SearchSpace


class Factor(NamedTuple):
    """A function of some widths, one for every resolution.

    ``values`` has shape ``(resolutions, choices of scope[0], ...)``.
    """
    scope: Tuple[int, ...]
    values: np.ndarray


class Conditional(NamedTuple):
    """How to draw one width, given those in ``given``.

    ``steps`` holds the distribution function for every resolution and every
    choice of ``given``, one row after the other; row ``k`` rises from ``k`` to
    ``k + 1``, so that one search finds a place in all rows at once.
    """
    width: int
    given: Tuple[int, ...]
    sizes: Tuple[int, ...]
    choices: int
    steps: np.ndarray


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    peak = values.max(-1)
    return peak + np.log(np.exp(values - peak[..., None]).sum(-1))


def _eliminate(space: SearchSpace, factors: Sequence[Factor],
               reduce: Callable[[np.ndarray], np.ndarray]
               ) -> Tuple[np.ndarray, List[Tuple[int, Factor]]]:
    """Eliminates all widths of a sum of factors.

    Args:
        space: the space of the widths.
        factors: the terms of the sum.
        reduce: what replaces a width, over the last axis (maximum, minimum,
            log-sum-exp).

    Returns:
        What is left, for each resolution; and in the order of elimination,
        each width and the sum of the factors that it stood in (the width
        itself on the last axis).
    """
    factors = list(factors)
    left = set(range(len(space.widths)))
    steps = []
    while left:
        # next is the width that stands together with the fewest others
        neighbours = {
            w: set().union(*(f.scope for f in factors if w in f.scope)) - {w}
            for w in sorted(left)}
        width = min(neighbours, key=lambda w: len(neighbours[w]))
        given = tuple(sorted(neighbours[width]))
        scope = (*given, width)
        joint = 0.
        for factor in factors:
            if width in factor.scope:
                joint = joint + _align(factor, scope)
        factors = [f for f in factors if width not in f.scope]
        factors.append(Factor(given, reduce(joint)))
        steps.append((width, Factor(given, joint)))
        left.remove(width)
    return sum(f.values for f in factors), steps


def _align(factor: Factor, scope: Tuple[int, ...]) -> np.ndarray:
    """A factor's values with one axis for each width of a larger scope."""
    order = sorted(range(len(factor.scope)),
                   key=lambda i: scope.index(factor.scope[i]))
    values = factor.values.transpose(0, *(1 + i for i in order))
    sizes = iter(values.shape[1:])
    return values.reshape(
        -1, *(next(sizes) if w in factor.scope else 1 for w in scope))


def _cost_factors(cost: CostTable) -> List[Factor]:
    factors = [Factor(scope, table / cost.scale)
               for scope, table in zip(cost.scopes, cost.tables)]
    # a width that costs nothing still has to be eliminated
    nothing = [Factor((i, ), np.zeros((1, len(width.choices))))
               for i, width in enumerate(cost.space.widths)]
    return factors + nothing


def cost_range(cost: CostTable) -> Tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest cost at each resolution, exactly.

    Returns:
        Two arrays of shape ``(resolutions, )`` in the resource's unit.
    """
    factors = _cost_factors(cost)
    return tuple(_eliminate(cost.space, factors, reduce)[0]
                 for reduce in (lambda v: v.min(-1), lambda v: v.max(-1)))


class TiltedPrior:
    """The prior of a space, tilted at each resolution with a rate of its own.

    Args:
        cost: the cost that tilts it.
        rates: array of shape ``(resolutions, )``; above zero towards cheaper
            subnets, in 1 / (the resource's unit).

    Attributes:
        log_normaliser: ``log sum_w prior(w) exp(-rate * cost(w))`` for each
            resolution, without the resolution's own prior.
    """

    def __init__(self, cost: CostTable, rates: np.ndarray) -> None:
        space = cost.space
        factors = [
            Factor(f.scope,
                   -rates.reshape(-1, *[1] * len(f.scope)) * f.values)
            for f in _cost_factors(cost)]
        factors += [
            Factor((i, ), np.tile(np.log(prior), (len(rates), 1)))
            for i, prior in enumerate(space.priors[1:])]
        self._space = space
        self.log_normaliser, self._steps = _eliminate(
            space, factors, _log_sum_exp)

    @cached_property
    def conditionals(self) -> List[Conditional]:
        """How to draw each width, in the order to draw them in."""
        conditionals = []
        for width, (given, joint) in reversed(self._steps):
            weights = np.exp(joint - joint.max(-1, keepdims=True))
            steps = weights.cumsum(-1)
            steps /= steps[..., -1:]
            choices = joint.shape[-1]
            rows = steps.reshape(-1, choices)
            rows += np.arange(len(rows))[:, None]
            conditionals.append(
                Conditional(width, given, joint.shape[1:-1], choices,
                            rows.ravel()))
        return conditionals

    def draw(self, rng: np.random.Generator,
             resolutions: np.ndarray) -> np.ndarray:
        """Draws one subnet for each of many resolutions.

        Args:
            rng: where randomness comes from.
            resolutions: positions in the space's resolutions, ``(N, )``.

        Returns:
            Codes ``(N, 1 + K)``.
        """
        codes = np.zeros((1 + len(self._space.widths), len(resolutions)),
                         np.int64)
        codes[0] = resolutions
        for width, given, sizes, choices, steps in self.conditionals:
            if choices == 1:
                continue
            row = resolutions
            for position, size in zip(given, sizes):
                row = row * size + codes[1 + position]
            found = steps.searchsorted(row + rng.random(len(row)), 'right')
            codes[1 + width] = np.minimum(found - row * choices, choices - 1)
        return codes.T
