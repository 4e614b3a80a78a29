"""What subnets of a level are worth, learnt from every iteration.

The sampled subnet's cross-entropy says more about its batch than about the
subnet. Two things bring the subnet out: the losses of the largest and of the
smallest subnet on the same batch, which say how hard it is (control variates);
and that losses are nearly additive in the widths, so that every observation
tells of all subnets.
"""

from functools import cached_property
from typing import Any, Dict, Sequence, Tuple

import numpy as np

from ..structures import SearchSpace
from .factor_graph import Tilt

SHORTEST_MEMORY = 100  # observations
# A level is fitted again once it has this share more observations, and at least
# so many more.
REFIT = 1 / 20
REFIT_LEAST = 16
# An effect of a covariate is shrunk this much less than a slope: it is real.
EFFECT_RIDGE = 1e-3


class AdditiveModel:
    """Minus the cross-entropy of a subnet, by least squares with forgetting.

    For each level, ``-loss = intercept + slopes * features + effects *
    covariates``. The features make it additive in the widths, at each
    resolution: one for each resolution, and for each width its value, the
    square of that, and its product with the resolution. Covariates are the
    losses of other passes of the iteration. Levels have intercepts of their
    own. Their slopes are shrunk towards slopes that they have in common, and
    those towards zero. Effects of the covariates are common to all levels.

    Weighted sums over the observations are all that is kept: recursive least
    squares, in the form that forgetting cannot blow up. All features vary by
    about 1, so that shrinking can be told in observations.

    Args:
        space: the space of the subnets.
        levels: how many there are.
        covariates: how many.
        memory: share of the observations so far after which an observation
            counts ``1/e`` of the newest: the first say little of the end.
        ridge: strength of the shrinking of common slopes towards zero, as if
            that many observations said so.
        pooling: the same for the slopes of a level towards the common ones.

    Attributes:
        observations: how many there were, of all levels.
    """

    def __init__(self,
                 space: SearchSpace,
                 levels: int,
                 covariates: int = 2,
                 memory: float = 0.5,
                 ridge: float = 3.,
                 pooling: float = 30.) -> None:
        self._space = space
        self._memory, self._ridge, self._pooling = memory, ridge, pooling
        size = self.num_features + covariates + 1
        # of a level's features, covariates and minus losses: their weights,
        # means, and sums of products of the differences from the means, as
        # they were when the level was last observed
        self._weights = np.zeros(levels)
        self._means = np.zeros((levels, size))
        self._products = np.zeros((levels, size, size))
        # how much was forgotten until then, and until now: logarithms
        self._forgotten = np.zeros(levels)
        self._forgotten_now = 0.
        self.observations = 0
        self._counts = np.zeros(levels, int)  # of observations
        self._fit_at = np.zeros(levels, int)  # the next fit
        # intercept, then slopes
        self._fits = np.zeros((levels, 1 + self.num_features))

    @property
    def num_features(self) -> int:
        """Features of a subnet."""
        return 1 + len(self._space.resolutions) + 3 * len(self._space.widths)

    @cached_property
    def _resolution(self) -> np.ndarray:
        """The resolutions, scaled."""
        return _scaled(self._space.resolutions)

    @cached_property
    def _widths(self) -> np.ndarray:
        """The choices of every width, scaled: ``(K, choices)``; the last choice
        again where a width has fewer."""
        scaled = [_scaled(width.choices) for width in self._space.widths]
        most = max(map(len, scaled))
        return np.stack(
            [np.pad(row, (0, most - len(row)), 'edge') for row in scaled])

    @cached_property
    def _of_resolutions(self) -> np.ndarray:
        """The features of resolutions, a row for each."""
        num = len(self._space.resolutions)
        return np.hstack([
            self._resolution[:, None],
            (np.eye(num) - 1 / num) * np.sqrt(num),
        ])

    def features(self, codes: np.ndarray) -> np.ndarray:
        """Features of subnets ``(N, 1 + K)``: ``(N, features)``."""
        r, choices = codes[:, 0], codes[:, 1:]
        widths = self._widths[np.arange(choices.shape[1]), choices]
        return np.concatenate([
            self._of_resolutions[r], widths, widths**2 - 1,
            widths * self._resolution[r, None]
        ], 1)

    def tilt(self, slopes: np.ndarray) -> Tilt:
        """What ``slopes * features`` is, as a function of the resolution and
        of each width at each resolution."""
        own = self._of_resolutions.shape[1]
        value, square, product = slopes[own:].reshape(3, -1, 1, 1)
        widths = self._widths[:, None]
        return Tilt(self._of_resolutions @ slopes[:own],
                    (value + product * self._resolution[:, None]) * widths +
                    square * (widths**2 - 1))

    def observe(self, level: int, features: np.ndarray, loss: float,
                covariates: Sequence[float]) -> bool:
        """Adds an observation.

        Args:
            level: position of the level that the subnet was drawn for.
            features: of the subnet, ``(features, )``.
            loss: its cross-entropy in nats.
            covariates: losses of other passes on the same batch.

        Returns:
            Whether the level was fitted again, so that its slopes are others.
        """
        row = np.concatenate([features, covariates, [-loss]])
        self.observations += 1
        window = max(self._memory * self.observations, SHORTEST_MEMORY)
        self._forgotten_now += float(np.log1p(-1 / window))
        kept = np.exp(self._forgotten_now - self._forgotten[level])
        weight = self._weights[level] * kept
        change = row - self._means[level]
        self._weights[level] = weight + 1
        self._means[level] += change / (weight + 1)
        change *= np.sqrt(weight / (weight + 1))  # exactly symmetric
        self._products[level] *= kept
        self._products[level] += change[:, None] * change
        self._forgotten[level] = self._forgotten_now
        self._counts[level] += 1
        count = self._counts[level]
        if count < self._fit_at[level]:
            return False
        self._fit(level)
        self._fit_at[level] = max(1 + int(count * (1 + REFIT)),
                                  count + REFIT_LEAST)
        return True

    @property
    def _kept(self) -> np.ndarray:
        """Share of each level's weights that is left now."""
        kept: np.ndarray = np.exp(self._forgotten_now - self._forgotten)
        return kept

    def _fit(self, level: int) -> None:
        """Fits a level's slopes and intercept."""
        size = self.num_features
        total = np.tensordot(self._kept, self._products, 1)
        penalty = np.full(len(total) - 1, self._ridge)
        penalty[size:] *= EFFECT_RIDGE
        common = np.linalg.solve(total[:-1, :-1] + np.diag(penalty), total[:-1,
                                                                           -1])
        products = self._products[level] * self._kept[level]
        # what is left of the losses after the covariates
        left = products[:size, -1] - products[:size, size:-1] @ common[size:]
        slopes = np.linalg.solve(
            products[:size, :size] + self._pooling * np.eye(size),
            left + self._pooling * common[:size])
        means = self._means[level]
        self._fits[level, 0] = means[-1] - means[:size] @ slopes + \
            (self.recent - means[size:-1]) @ common[size:]
        self._fits[level, 1:] = slopes

    def fit(self, level: int) -> Tuple[float, np.ndarray]:
        """The last fit of a level.

        Returns:
            Intercept and slopes ``(features, )``: minus the cross-entropy that
            was expected on batches like the recent ones. Without any
            observation all are 0.
        """
        fit = self._fits[level]
        return float(fit[0]), fit[1:].copy()

    @property
    def recent(self) -> np.ndarray:
        """The covariates' means over all levels, forgetting as fits do."""
        weights = self._weights * self._kept
        found: np.ndarray = weights @ self._means[:, self.num_features:-1] / \
            max(weights.sum(), 1e-300)
        return found

    def state_of(self, level: int) -> Dict[str, Any]:
        """What a level's observations come to: lists and numbers."""
        return dict(
            observations=[
                self.observations,
                int(self._counts[level]),
                int(self._fit_at[level])
            ],
            forgotten=[self._forgotten_now,
                       float(self._forgotten[level])],
            weight=float(self._weights[level]),
            means=self._means[level].tolist(),
            products=self._products[level][np.triu_indices(
                len(self._means[level]))].tolist(),
            fit=self._fits[level].tolist())

    def check_state(self, state: Any) -> Dict[str, Any]:
        """Reads what :meth:`state_of` returned.

        Raises:
            ValueError: if it does not fit; it says what was expected.
        """
        size = self._means.shape[1]
        shapes = dict(
            observations=(3, ),
            forgotten=(2, ),
            weight=(),
            means=(size, ),
            products=(size * (size + 1) // 2, ),
            fit=(1 + self.num_features, ))
        try:
            found = {key: np.array(state[key], float) for key in shapes}
        except (KeyError, TypeError, ValueError):
            found = {}
        if {key: a.shape for key, a in found.items()} != shapes or \
                not all(np.isfinite(a).all() for a in found.values()) or \
                found['weight'] < 0 or (found['forgotten'] > 0).any() or \
                found['forgotten'][0] > found['forgotten'][1] or \
                (found['observations'] < 0).any() or \
                (found['observations'] % 1).any():
            raise ValueError(f'expected sums over observations of {size} '
                             f'quantities: {", ".join(shapes)}')
        return found

    def load(self, level: int, state: Dict[str, Any]) -> None:
        """Restores what :meth:`check_state` read."""
        self.observations, self._counts[level], self._fit_at[level] = \
            state['observations'].astype(int).tolist()
        self._forgotten_now, self._forgotten[level] = \
            state['forgotten'].tolist()
        self._weights[level] = state['weight']
        self._means[level] = state['means']
        rows, columns = np.triu_indices(len(state['means']))
        self._products[level][rows, columns] = state['products']
        self._products[level][columns, rows] = state['products']
        self._fits[level] = state['fit']


def _scaled(values: Sequence[int]) -> np.ndarray:
    low, high = min(values), max(values)
    middle = (low + high) / 2
    found: np.ndarray = np.sqrt(12) * (np.array(values, float) - middle)
    return found / max(high - low, 1)
