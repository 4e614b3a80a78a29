"""Exact draws from a space's prior, tilted by a cost or truncated by it.

A cost consists of tables over few widths each (:class:`CostTable`). If it is
their sum, the prior times ``exp(-rate * cost)`` is a factor graph; if it is
their maximum, the prior restricted to tables below a bound is one. Eliminating
one width after the other computes the normaliser, and drawing the widths in
reverse order is exact (forward filtering, backward sampling; Koller & Friedman,
"Probabilistic Graphical Models", ch. 9).
"""

import functools
from functools import cached_property
from typing import Callable, List, NamedTuple, Sequence, Tuple

import numpy as np

from ..structures import CostTable, SearchSpace
from ..structures.cost_table import COMBINE


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
    peak = np.where(np.isfinite(peak), peak, 0.)  # nothing is possible there
    with np.errstate(divide='ignore'):
        found: np.ndarray = peak + np.log(
            np.exp(values - peak[..., None]).sum(-1))
        return found


def _eliminate(
        space: SearchSpace,
        factors: Sequence[Factor],
        reduce: Callable[[np.ndarray], np.ndarray],
        combine: np.ufunc = np.add
) -> Tuple[np.ndarray, List[Tuple[int, Factor]]]:
    """Eliminates all widths of a combination of factors.

    Args:
        space: the space of the widths.
        factors: what is combined.
        reduce: what replaces a width, over the last axis (maximum, minimum,
            log-sum-exp).
        combine: how factors are combined (sum, maximum).

    Returns:
        What is left, for each resolution; and in the order of elimination,
        each width and the combination of the factors with that width (the
        width itself on the last axis).
    """
    # a width without a factor still has to be eliminated
    nothing = 0. if combine is np.add else -np.inf
    factors = [
        *factors, *(Factor((i, ), np.full((1, len(width.choices)), nothing))
                    for i, width in enumerate(space.widths))
    ]
    left = set(range(len(space.widths)))
    steps = []
    while left:
        # next is the width that shares factors with the fewest others
        neighbours = {
            w: set().union(*(f.scope for f in factors if w in f.scope)) - {w}
            for w in sorted(left)
        }
        width = min(neighbours, key=lambda w: len(neighbours[w]))
        given = tuple(sorted(neighbours[width]))
        scope = (*given, width)
        joint = functools.reduce(
            combine, [_align(f, scope) for f in factors if width in f.scope])
        factors = [f for f in factors if width not in f.scope]
        factors.append(Factor(given, reduce(joint)))
        steps.append((width, Factor(given, joint)))
        left.remove(width)
    return functools.reduce(combine, [f.values for f in factors]), steps


def _align(factor: Factor, scope: Tuple[int, ...]) -> np.ndarray:
    """Returns a factor's values with one axis for each width of a larger
    scope."""
    order = sorted(
        range(len(factor.scope)), key=lambda i: scope.index(factor.scope[i]))
    values: np.ndarray = factor.values.transpose(0, *(1 + i for i in order))
    sizes = iter(values.shape[1:])
    values = values.reshape(
        -1, *(next(sizes) if w in factor.scope else 1 for w in scope))
    return values


def cost_range(cost: CostTable) -> Tuple[np.ndarray, np.ndarray]:
    """Computes the smallest and the largest cost at each resolution, exactly.

    Returns:
        Two arrays of shape ``(resolutions, )`` in the resource's unit.
    """
    factors = [Factor(*entry) for entry in cost.scaled]
    zeros = np.zeros(len(cost.space.resolutions))
    return tuple(
        zeros +
        _eliminate(cost.space, factors, reduce, COMBINE[cost.combine])[0]
        for reduce in (lambda v: v.min(-1), lambda v: v.max(-1)))


def tilted_prior(cost: CostTable, rates: np.ndarray) -> 'FactorGraph':
    """The prior times ``exp(-rate * cost)``, for a cost that is a sum.

    Args:
        cost: the cost that tilts it.
        rates: one for each resolution, in 1 / (the resource's unit); above
            zero they tilt towards cheaper subnets.
    """
    return FactorGraph(cost.space, [
        Factor(scope, -rates.reshape(-1, *[1] * len(scope)) * table)
        for scope, table in cost.scaled
    ])


def truncated_prior(cost: CostTable,
                    bounds: Sequence[Tuple[float, float]]) -> 'FactorGraph':
    """The prior where every table lies within its own bounds.

    Args:
        cost: the tables.
        bounds: for each table ``low`` and ``high``: costs in ``[low,
            high)`` are allowed.
    """
    return FactorGraph(cost.space, [
        Factor(scope, np.where((table >= low) & (table < high), 0., -np.inf))
        for (scope, table), (low, high) in zip(cost.scaled, bounds)
    ])


class FactorGraph:
    """The prior of a space, times factors over few widths each.

    Args:
        space: the space.
        factors: logarithms of the factors.

    Attributes:
        log_normaliser: ``log sum_w prior(w) prod_f exp(f(w))`` for each
            resolution, without the resolution's own prior.
    """

    def __init__(self, space: SearchSpace, factors: Sequence[Factor]) -> None:
        resolutions = len(space.resolutions)
        factors = [
            *factors, *(Factor((i, ), np.tile(np.log(prior), (resolutions, 1)))
                        for i, prior in enumerate(space.priors[1:]))
        ]
        self._space = space
        self.log_normaliser, self._steps = _eliminate(space, factors,
                                                      _log_sum_exp)

    @property
    def num_widths(self) -> int:
        """Widths of the space."""
        return len(self._space.widths)

    @cached_property
    def conditionals(self) -> List[Conditional]:
        """How to draw each width, in the order to draw them in."""
        conditionals = []
        for width, (given, joint) in reversed(self._steps):
            peak = joint.max(-1, keepdims=True)
            # where nothing is possible, nothing will be drawn
            weights = np.where(
                np.isfinite(peak),
                np.exp(joint - np.where(np.isfinite(peak), peak, 0.)), 1.)
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
            rng: source of randomness.
            resolutions: positions in the space's resolutions, ``(N, )``.

        Returns:
            Codes ``(N, 1 + K)``.
        """
        codes: np.ndarray = np.zeros(
            (1 + len(self._space.widths), len(resolutions)), np.int64)
        codes[0] = resolutions
        for width, given, sizes, choices, steps in self.conditionals:
            if choices == 1:
                continue
            row = resolutions
            for position, size in zip(given, sizes):
                row = row * size + codes[1 + position]
            found = steps.searchsorted(row + rng.random(len(row)), 'right')
            codes[1 + width] = np.minimum(found - row * choices, choices - 1)
        return np.transpose(codes)
