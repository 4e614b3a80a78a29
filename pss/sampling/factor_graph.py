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
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

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


class Tilt(NamedTuple):
    """Logarithms that a prior is multiplied with the exponentials of: additive
    in the widths, at each resolution.

    Attributes:
        resolution: one for each resolution, ``(R, )``.
        widths: for each width, one for each choice at each resolution, ``(R,
            choices)``.
    """
    resolution: np.ndarray
    widths: Sequence[np.ndarray]

    def at(self, positions: np.ndarray) -> 'Tilt':
        """The tilt of some of the resolutions."""
        return Tilt(self.resolution[positions],
                    [width[positions] for width in self.widths])


class Part(NamedTuple):
    """Where a factor is, and how its axes fit into a larger scope."""
    factor: int
    axes: Tuple[int, ...]
    shape: Tuple[int, ...]


class Step(NamedTuple):
    """A width that is eliminated, what it is given, and the factors with it."""
    width: int
    given: Tuple[int, ...]
    parts: Tuple[Part, ...]


@functools.lru_cache(maxsize=64)
def _order(scopes: Tuple[Tuple[int, ...], ...],
           sizes: Tuple[int, ...]) -> Tuple[List[Step], List[int]]:
    """In which order to eliminate widths.

    Args:
        scopes: of the factors. Each step leaves one more factor, over what its
            width is given; those are counted on.
        sizes: choices of each width.

    Returns:
        The steps, and which factors are left in the end.
    """
    left = dict(enumerate(scopes))
    steps: List[Step] = []
    while len(steps) < len(sizes):
        # next is the width that shares factors with the fewest others
        neighbours = {
            w: set().union(*(s for s in left.values() if w in s)) - {w}
            for w in sorted({*range(len(sizes))} - {s.width
                                                    for s in steps})
        }
        width = min(neighbours, key=lambda w: len(neighbours[w]))
        given = tuple(sorted(neighbours[width]))
        parts = tuple(
            _part(i, scope, (*given, width), sizes)
            for i, scope in left.items() if width in scope)
        for part in parts:
            del left[part.factor]
        left[len(scopes) + len(steps)] = given
        steps.append(Step(width, given, parts))
    return steps, list(left)


def _part(factor: int, scope: Tuple[int, ...], larger: Tuple[int, ...],
          sizes: Tuple[int, ...]) -> Part:
    """A factor in a larger scope: one axis for each width of that."""
    order = sorted(range(len(scope)), key=lambda i: larger.index(scope[i]))
    return Part(factor, (0, *(1 + i for i in order)),
                (-1, *(sizes[w] if w in scope else 1 for w in larger)))


def _eliminate(space: SearchSpace,
               factors: Sequence[Factor],
               reduce: Callable[[np.ndarray], np.ndarray],
               combine: np.ufunc = np.add) -> Tuple[np.ndarray, List[Step]]:
    """Eliminates all widths of a combination of factors.

    Args:
        space: the space of the widths.
        factors: what is combined.
        reduce: what replaces a width, over the last axis (maximum, minimum,
            log-sum-exp). It is called once a step, with the combination of the
            factors over what the width is given and the width.
        combine: how factors are combined (sum, maximum).

    Returns:
        What is left, for each resolution; and the steps.
    """
    sizes = tuple(len(width.choices) for width in space.widths)
    steps, left = _order(tuple(f.scope for f in factors), sizes)
    values = [f.values for f in factors]
    for width, _, parts in steps:
        if parts:
            joint = functools.reduce(combine, [
                values[i].transpose(axes).reshape(shape)
                for i, axes, shape in parts
            ])
        else:  # a width that costs nothing
            joint = np.full((1, sizes[width]),
                            0. if combine is np.add else -np.inf)
        values.append(reduce(joint))
    return functools.reduce(combine, [values[i] for i in left]), steps


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


def main_effects(cost: CostTable) -> Tuple[np.ndarray, List[np.ndarray]]:
    """Computes what each choice adds to the mean of a cost that is a sum.

    Returns:
        The mean under the prior at each resolution, ``(R, )``; and for each
        width the mean for each of its choices minus that, ``(R, choices)``.
    """
    space = cost.space
    means = np.zeros(len(space.resolutions))
    effects = [
        np.zeros((len(means), len(width.choices))) for width in space.widths
    ]
    for scope, table in cost.scaled:
        for position in scope:
            seen = table
            for axis in range(len(scope), 0, -1):  # the last axis first
                if scope[axis - 1] != position:
                    seen = np.moveaxis(seen, axis, -1) @ \
                        space.priors[1 + scope[axis - 1]]
            effects[position] += seen
        mean = seen @ space.priors[1 + scope[-1]] if scope else table
        means += mean
    for effect, prior in zip(effects, space.priors[1:]):
        effect -= (effect @ prior)[:, None]
    return means, effects


def tilted_prior(cost: CostTable,
                 rates: np.ndarray,
                 tilt: Optional[Tilt] = None) -> 'FactorGraph':
    """The prior times ``exp(-rate * cost)``, for a cost that is a sum.

    Args:
        cost: the cost that tilts it.
        rates: one for each resolution, in 1 / (the resource's unit); above
            zero they tilt towards cheaper subnets.
        tilt: of the prior itself.
    """
    return FactorGraph(cost.space, [
        Factor(scope, -rates.reshape(-1, *[1] * len(scope)) * table)
        for scope, table in cost.scaled
    ], tilt)


def truncated_prior(cost: CostTable,
                    bounds: Sequence[Tuple[float, float]],
                    tilt: Optional[Tilt] = None) -> 'FactorGraph':
    """The prior where every table lies within its own bounds.

    Args:
        cost: the tables.
        bounds: for each table ``low`` and ``high``: costs in ``[low,
            high)`` are allowed.
        tilt: of the prior.
    """
    return FactorGraph(cost.space, [
        Factor(scope, np.where((table >= low) & (table < high), 0., -np.inf))
        for (scope, table), (low, high) in zip(cost.scaled, bounds)
    ], tilt)


class FactorGraph:
    """The prior of a space, times factors over few widths each.

    Args:
        space: the space.
        factors: logarithms of the factors.
        tilt: of the prior, whose widths are factors too.

    Attributes:
        log_normaliser: ``log sum_w prior(w) prod_f exp(f(w))`` for each
            resolution, without the resolution's own prior and tilt.
    """

    def __init__(self,
                 space: SearchSpace,
                 factors: Sequence[Factor],
                 tilt: Optional[Tilt] = None) -> None:
        resolutions = len(space.resolutions)
        factors = [
            *factors, *(Factor((i, ),
                               np.tile(np.log(prior), (resolutions, 1)) +
                               (0. if tilt is None else tilt.widths[i]))
                        for i, prior in enumerate(space.priors[1:]))
        ]
        self._space = space
        self._weights: List[np.ndarray] = []  # of the choices, for each step
        self.log_normaliser, self._steps = _eliminate(space, factors,
                                                      self._log_sum_exp)

    def _log_sum_exp(self, values: np.ndarray) -> np.ndarray:
        peak = values.max(-1, keepdims=True)
        peak = np.where(np.isfinite(peak), peak, 0.)  # nothing is possible
        weights = np.exp(values - peak)
        self._weights.append(weights)
        with np.errstate(divide='ignore'):
            found: np.ndarray = peak[..., 0] + np.log(weights.sum(-1))
            return found

    @property
    def num_widths(self) -> int:
        """Widths of the space."""
        return len(self._space.widths)

    @cached_property
    def conditionals(self) -> List[Conditional]:
        """How to draw each width, in the order to draw them in."""
        conditionals = []
        for step, weights in zip(
                reversed(self._steps), reversed(self._weights)):
            steps = weights.cumsum(-1)
            # where nothing is possible, nothing will be drawn
            steps /= np.where(steps[..., -1:] > 0, steps[..., -1:], 1.)
            choices = weights.shape[-1]
            rows = steps.reshape(-1, choices)
            rows += np.arange(len(rows))[:, None]
            conditionals.append(
                Conditional(step.width, step.given, weights.shape[1:-1],
                            choices, rows.ravel()))
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
