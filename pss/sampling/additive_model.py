"""What subnets of a level are worth, learnt from every iteration.

The sampled subnet's cross-entropy says more about its batch than about the
subnet. Two things bring the subnet out: the losses of the largest and of the
smallest subnet on the same batch, which say how hard it is (control variates);
and that losses are nearly additive in the widths and the resolution, so that
every observation tells of all subnets.
"""

from functools import cached_property
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from ..structures import SearchSpace

SHORTEST_MEMORY = 100  # observations


class AdditiveModel:
    """Minus the cross-entropy of a subnet, by least squares with forgetting.

    For each level, ``-loss = intercept + slopes * features + effects *
    covariates``. Features are the resolution, its square and every width, each
    scaled to its range; covariates are the losses of the other passes of the
    iteration. Levels have intercepts of their own. Their slopes are shrunk
    towards slopes that they have in common, and those towards zero. Effects of
    the covariates are common to all levels.

    Sums over the observations are all that is kept: recursive least squares, in
    the form that forgetting cannot blow up.

    Args:
        space: the space of the subnets.
        levels: how many there are.
        covariates: how many.
        memory: share of the observations so far after which an observation
            counts ``1/e`` of the newest; early in training losses fall too
            fast to say much of its end.
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
                 memory: float = 0.25,
                 ridge: float = 1.,
                 pooling: float = 20.) -> None:
        self.space = space
        self._memory, self._ridge, self._pooling = memory, ridge, pooling
        self._covariates = covariates
        # of a level's features, covariates and minus losses: weights, means,
        # and weighted sums of products of the differences from the means
        size = self.num_features + covariates + 1
        self._weights = np.zeros(levels)
        self._means = np.zeros((levels, size))
        self._products = np.zeros((levels, size, size))
        self.observations = 0

    @property
    def num_features(self) -> int:
        """Features of a subnet: two of the resolution, and the widths."""
        return 2 + len(self.space.widths)

    @cached_property
    def columns(self) -> List[np.ndarray]:
        """The feature of each choice of the resolution and of every width: in
        ``[-sqrt(3), sqrt(3)]``, which has a variance of 1, and 0 if there is
        no choice."""
        return [
            _scaled(values)
            for values in (self.space.resolutions,
                           *(w.choices for w in self.space.widths))
        ]

    def features(self, codes: np.ndarray) -> np.ndarray:
        """Features of subnets ``(N, 1 + K)``: ``(N, 2 + K)``."""
        columns = [
            column[position]
            for column, position in zip(self.columns,
                                        np.asarray(codes).T)
        ]
        return np.stack([columns[0], _bow(columns[0]), *columns[1:]], 1)

    def tilt(self, slopes: np.ndarray) -> List[np.ndarray]:
        """What ``slopes * features`` is for each choice of the resolution and
        of every width, see :meth:`.SearchSpace.tilted`."""
        resolution, *widths = self.columns
        return [
            slopes[0] * resolution + slopes[1] * _bow(resolution),
            *(slope * column for slope, column in zip(slopes[2:], widths))
        ]

    def observe(self, level: int, features: np.ndarray, loss: float,
                covariates: Sequence[float]) -> None:
        """Adds an observation.

        Args:
            level: position of the level that the subnet was drawn for.
            features: of the subnet, ``(2 + K, )``.
            loss: its cross-entropy in nats.
            covariates: losses of other passes on the same batch.
        """
        row = np.concatenate([features, covariates, [-loss]])
        self.observations += 1
        window = max(self._memory * self.observations, SHORTEST_MEMORY)
        self._weights *= 1 - 1 / window
        self._products *= 1 - 1 / window
        weight = self._weights[level]
        change = row - self._means[level]
        self._weights[level] = weight + 1
        self._means[level] += change / (weight + 1)
        self._products[level] += \
            weight / (weight + 1) * change[:, None] * change
        self.__dict__.pop('_common', None)

    @cached_property
    def _common(self) -> Tuple[np.ndarray, np.ndarray]:
        """The slopes and effects that levels have in common."""
        total = self._products.sum(0)
        size = self.num_features
        penalty = np.full(len(total) - 1, self._ridge)
        penalty[size:] = 1e-3 * self._ridge  # effects of covariates are real
        found = np.linalg.solve(total[:-1, :-1] + np.diag(penalty), total[:-1,
                                                                          -1])
        return found[:size], found[size:]

    def fit(self, level: int) -> Tuple[float, np.ndarray]:
        """The fit of a level.

        Returns:
            Intercept and slopes ``(2 + K, )``: minus the cross-entropy that is
            expected on batches like the recent ones.
        """
        common, effects = self._common
        size = self.num_features
        products, means = self._products[level], self._means[level]
        # what is left of the losses after the covariates
        left = products[:size, -1] - products[:size, size:-1] @ effects
        slopes = np.linalg.solve(
            products[:size, :size] + self._pooling * np.eye(size),
            left + self._pooling * common)
        recent = self._weights @ self._means[:, size:-1] / \
            max(self._weights.sum(), 1e-12)
        intercept = means[-1] - means[:size] @ slopes + \
            (recent - means[size:-1]) @ effects
        return float(intercept), slopes

    def state_of(self, level: int) -> Dict[str, Any]:
        """What a level's observations come to: lists and numbers."""
        return dict(
            observations=self.observations,
            weight=float(self._weights[level]),
            means=self._means[level].tolist(),
            products=self._products[level].tolist())

    def check_state(self, state: Dict[str, Any]) -> Tuple[Any, ...]:
        """Reads what :meth:`state_of` returned.

        Raises:
            ValueError: if it does not fit; it says what was expected.
        """
        size = self._means.shape[1]
        try:
            found = [
                np.array(state[key], float)
                for key in ('weight', 'means', 'products')
            ]
            observations = state['observations']
        except (KeyError, TypeError, ValueError):
            found, observations = [], 0
        if [a.shape for a in found] != [(), (size, ), (size, size)] or \
                not all(np.isfinite(a).all() for a in found) or \
                found[0] < 0 or type(observations) is not int or \
                observations < 0:
            raise ValueError(f'expected a weight, means and products of {size} '
                             'quantities, and a number of observations')
        return (observations, *found)

    def load(self, level: int, state: Tuple[Any, ...]) -> None:
        """Restores what :meth:`check_state` read."""
        self.observations, self._weights[level], self._means[level], \
            self._products[level] = state
        self.__dict__.pop('_common', None)


def _bow(resolution: np.ndarray) -> np.ndarray:
    """The square of a feature, about 0 on average."""
    bow: np.ndarray = resolution**2 - 1
    return bow


def _scaled(values: Sequence[int]) -> np.ndarray:
    low, high = min(values), max(values)
    middle = (low + high) / 2
    found: np.ndarray = np.sqrt(12) * (np.array(values, float) - middle)
    return found / max(high - low, 1)
