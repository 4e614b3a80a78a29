"""Exact draws from a space's prior, tilted by a cost or truncated by it.

A cost consists of tables over few widths each (:class:`.CostTable`). If it is
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

# Sums of products below this have lost precision.
LEAST_SUM = 1e-290
# No logarithm of a possible subnet is lower.
LOWEST = -1e300
# With a tilt, which does not last, fewer subnets than this are drawn without
# tables for all.
FEW = 256


class Factor(NamedTuple):
    """A function of some widths, one for every resolution.

    ``values`` has shape ``(resolutions, choices of scope[0], ...)``.
    """
    scope: Tuple[int, ...]
    values: np.ndarray


class Tilt(NamedTuple):
    """Logarithms that a prior is multiplied with the exponentials of: additive
    in the widths, at each resolution.

    Attributes:
        resolution: one for each resolution, ``(R, )``.
        widths: for each width, one for each choice at each resolution, ``(K,
            R, choices)``; beyond the choices of a width, anything that is not
            above all of them.
    """
    resolution: np.ndarray
    widths: np.ndarray

    def at(self, positions: np.ndarray) -> 'Tilt':
        """The tilt of some of the resolutions."""
        return Tilt(self.resolution[positions], self.widths[:, positions])

    def log_priors(self, space: SearchSpace) -> np.ndarray:
        """Logarithms of the widths' priors times the exponentials of these,
        ``(K, R, most choices of a width)``."""
        priors = space.log_priors
        found: np.ndarray = \
            self.widths[..., :priors.shape[1]] + priors[:, None]
        return found

    @property
    def most(self) -> float:
        """No subnet's logarithm is higher."""
        return float((self.resolution + self.widths.max(2).sum(0)).max())


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


def _eliminate(
    space: SearchSpace, factors: Sequence[Factor],
    reduce: Callable[[List[np.ndarray]], np.ndarray]
) -> Tuple[List[np.ndarray], List[Step]]:
    """Eliminates all widths of a combination of factors.

    Args:
        space: the space of the widths.
        factors: what is combined.
        reduce: replaces a width by a factor over what it is given. It gets the
            factors over both, none for a width that nothing depends on: one
            axis for the resolution, one for each width that is given, and one
            for the width.

    Returns:
        What is left, factors of the resolution only; and the steps.
    """
    sizes = tuple(len(width.choices) for width in space.widths)
    steps, left = _order(tuple(f.scope for f in factors), sizes)
    values = [f.values for f in factors]
    for _, _, parts in steps:
        values.append(
            reduce([
                values[i].transpose(axes).reshape(shape)
                for i, axes, shape in parts
            ]))
    return [values[i] for i in left], steps


def cost_range(cost: CostTable) -> Tuple[np.ndarray, np.ndarray]:
    """Computes the smallest and the largest cost at each resolution, exactly.

    Returns:
        Two arrays of shape ``(resolutions, )`` in the resource's unit.
    """
    factors = [Factor(*entry) for entry in cost.scaled]
    zeros = np.zeros(len(cost.space.resolutions))
    combine = COMBINE[cost.combine]
    nothing = np.full((1, 1), 0. if cost.combine == 'sum' else -np.inf)

    def found(reduce: Callable[..., np.ndarray]) -> np.ndarray:
        left, _ = _eliminate(
            cost.space, factors, lambda parts: reduce(
                functools.reduce(combine, parts or [nothing]), axis=-1))
        ends: np.ndarray = zeros + functools.reduce(combine, left)
        return ends

    return found(np.min), found(np.max)


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
    return FactorGraph(cost.space,
                       [Factor(*entry) for entry in cost.times(-rates)], tilt)


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
        priors = np.repeat(
            space.log_priors[:, None], len(space.resolutions), 1) \
            if tilt is None else tilt.log_priors(space)
        factors = [
            *factors,
            *(Factor((i, ), prior[:, :choices])
              for i, (prior,
                      choices) in enumerate(zip(priors, space.shape[1:])))
        ]
        self._space = space
        self._few = 0 if tilt is None else FEW
        self._summands: List[List[np.ndarray]] = []  # of each step
        with np.errstate(divide='ignore'):  # what is impossible
            left, self._steps = _eliminate(space, factors, self._sum_out)
        self.log_normaliser: np.ndarray = functools.reduce(np.add, left)

    def _sum_out(self, parts: List[np.ndarray]) -> np.ndarray:
        summands = _summands(parts)
        self._summands.append(summands)
        if len(summands) == 2:
            return _log_sum_products(*summands)
        return _log_sum_exp(summands[0])

    @property
    def num_widths(self) -> int:
        """Widths of the space."""
        return len(self._space.widths)

    @cached_property
    def _tables(self) -> List[np.ndarray]:
        """Of each step, the distribution function of the width, for every
        resolution and every choice of what it is given: row ``k`` rises from
        ``k`` to ``k + 1``, so that one search finds a place in all rows at
        once."""
        tables = []
        for summands in self._summands:
            joint = functools.reduce(np.add, summands)
            rows = _distribution(joint.reshape(-1, joint.shape[-1]))
            rows += np.arange(len(rows))[:, None]
            tables.append(rows.ravel())
        return tables

    def draw(self, rng: np.random.Generator,
             resolutions: np.ndarray) -> np.ndarray:
        """Draws one subnet for each of many resolutions.

        Args:
            rng: source of randomness.
            resolutions: positions in the space's resolutions, ``(N, )``.

        Returns:
            Codes ``(N, 1 + K)``.
        """
        codes: np.ndarray = np.zeros((1 + self.num_widths, len(resolutions)),
                                     np.int64)
        codes[0] = resolutions
        find = self._find_in_rows if len(resolutions) < self._few else \
            self._find_in_tables
        for position in range(len(self._steps) - 1, -1, -1):
            width = self._steps[position].width
            if len(self._space.widths[width].choices) > 1:
                codes[1 + width] = find(position, rng.random(len(resolutions)),
                                        codes)
        return np.transpose(codes)

    def _find_in_tables(self, position: int, u: np.ndarray,
                        codes: np.ndarray) -> np.ndarray:
        """Which choices of a step's width lie at ``u`` of their distributions.
        """
        width, given, _ = self._steps[position]
        widths = self._space.widths
        row = codes[0]
        for w in given:
            row = row * len(widths[w].choices) + codes[1 + w]
        choices = len(widths[width].choices)
        found = self._tables[position].searchsorted(row + u, 'right')
        places: np.ndarray = np.minimum(found - row * choices, choices - 1)
        return places

    def _find_in_rows(self, position: int, u: np.ndarray,
                      codes: np.ndarray) -> np.ndarray:
        """The same, computing distributions for these codes only."""
        given = self._steps[position].given

        def rows_of(values: np.ndarray) -> np.ndarray:
            index = [codes[0]]
            index += [
                codes[1 + w] if size > 1 else 0
                for w, size in zip(given, values.shape[1:])
            ]
            found: np.ndarray = values[tuple(index)]
            return found

        rows = functools.reduce(np.add, map(rows_of, self._summands[position]))
        steps = np.exp(rows - _peak(rows)).cumsum(-1)
        found = (steps <= u[:, None] * steps[:, -1:]).sum(-1)
        places: np.ndarray = np.minimum(found, rows.shape[1] - 1)
        return places


def _summands(parts: List[np.ndarray]) -> List[np.ndarray]:
    """Adds up factors; if the width is given two others, and no factor is over
    both, those that are over the second apart from the rest."""
    second = [part for part in parts if part.ndim == 4 and part.shape[2] > 1]
    rest = [part for part in parts if part.ndim < 4 or part.shape[2] == 1]
    if not second or not rest or any(part.shape[1] > 1 for part in second):
        second, rest = [], parts
    return [
        functools.reduce(np.add, group) for group in (rest, second) if group
    ]


def _peak(values: np.ndarray) -> np.ndarray:
    """The largest of each row, a finite number where nothing is possible."""
    peak: np.ndarray = np.maximum(values.max(-1, keepdims=True), LOWEST)
    return peak


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    peak = _peak(values)
    found: np.ndarray = peak[..., 0] + np.log(np.exp(values - peak).sum(-1))
    return found


def _log_sum_products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``log sum_w exp(first + second)`` as a product of matrices.

    Args:
        first: ``(R, F, 1, choices)``.
        second: ``(R, 1, S, choices)``.

    Returns:
        ``(R, F, S)``.
    """
    peaks = _peak(first), _peak(second)
    left, right = np.exp(first - peaks[0]), np.exp(second - peaks[1])
    sums = left[:, :, 0] @ right[:, 0].transpose(0, 2, 1)
    if sums.min() < LEAST_SUM:
        return _log_sum_exp(first + second)
    found: np.ndarray = peaks[0][..., 0] + peaks[1][..., 0] + np.log(sums)
    return found


def _distribution(logarithms: np.ndarray) -> np.ndarray:
    """Distribution functions of rows ``(N, choices)``, by the logarithms of
    what the probabilities are proportional to."""
    steps: np.ndarray = np.exp(logarithms - _peak(logarithms)).cumsum(-1)
    # where nothing is possible, nothing will be drawn
    steps /= np.where(steps[:, -1:] > 0, steps[:, -1:], 1.)
    return steps
