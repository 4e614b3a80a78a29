"""An additive model of accuracy, fitted to what was measured so far."""

from typing import NamedTuple

import numpy as np

from ..structures import SearchSpace

# What the prior's standard deviations may be, in points of accuracy: of slopes,
# of curvatures, and of what a subnet has that the model does not explain.
_SLOPES = (0.3, 1., 3., 10.)
_CURVES = (0.03, 0.3, 1., 3.)
_RESIDUALS = (0.03, 0.1, 0.2, 0.3, 0.45, 0.7, 1.)
_INTERCEPT = 100.


class Prediction(NamedTuple):
    """What is believed of subnets' accuracies, in percent.

    Attributes:
        mean: ``(N, )``.
        std: standard deviations ``(N, )``.
    """
    mean: np.ndarray
    std: np.ndarray


class AdditiveSurrogate:
    """Bayesian linear regression of accuracy on widths and resolution.

    A subnet's accuracy is an intercept, a slope for each width and the
    resolution, a curvature for the resolution and for how wide the whole
    network is, and a residual of its own. All have normal priors, whose scales
    are chosen from a grid by the likelihood of the measurements (empirical
    Bayes). So lucky subnets are shrunk towards what similar ones reach, the
    more the fewer images they were measured on.

    Args:
        space: the space of the subnets.
        codes: the measured subnets, ``(N, 1 + K)``.
        accuracy: theirs in percent, ``(N, )``.
        error: standard errors of these, ``(N, )``.
    """

    def __init__(self, space: SearchSpace, codes: np.ndarray,
                 accuracy: np.ndarray, error: np.ndarray) -> None:
        self._space = space
        self._centre = float(np.average(accuracy, weights=error**-2.))
        self._y = accuracy - self._centre
        self._x = self._features(codes)
        self._noise = error**2
        self._fit()

    def _features(self, codes: np.ndarray) -> np.ndarray:
        """``(N, features)``: 1, resolution and widths in [-0.5, 0.5], then the
        squares of the resolution and of the mean width, and their product."""
        values = [np.array(self._space.resolutions, float)]
        values += [np.array(w.choices, float) for w in self._space.widths]
        columns = [(v[c] - v[0]) / max(v[-1] - v[0], 1e-9) - 0.5
                   for v, c in zip(values,
                                   np.asarray(codes).T)]
        size, width = columns[0], np.mean(columns[1:], axis=0)
        curves = [size**2, width**2, size * width]
        return np.stack([np.ones(len(size)), *columns, *curves], axis=1)

    def _fit(self) -> None:
        """Chooses the scales one after the other, until none changes."""
        grids = (_SLOPES, _CURVES, _RESIDUALS)
        places = [len(grid) // 2 for grid in grids]
        best = -np.inf
        for _ in range(4):
            before = list(places)
            for which, grid in enumerate(grids):
                for place in range(len(grid)):
                    trial = [*places[:which], place, *places[which + 1:]]
                    found = self._log_likelihood(
                        *(g[i] for g, i in zip(grids, trial)))
                    if found > best + 1e-9:
                        best, places = found, trial
            if places == before:
                break
        self._log_likelihood(*(g[i] for g, i in zip(grids, places)))

    def _log_likelihood(self, slope: float, curve: float,
                        residual: float) -> float:
        """Of the measurements; keeps the posterior for these scales."""
        num = self._x.shape[1]
        scales = np.array([_INTERCEPT, *[slope] * (num - 4), *[curve] * 3])
        noise = self._noise + residual**2
        scaled = self._x * scales  # coefficients of unit variance
        precision = np.eye(num) + (scaled / noise[:, None]).T @ scaled
        root = np.linalg.cholesky(precision)
        half = np.linalg.solve(root, scaled.T @ (self._y / noise))
        self._residual = residual
        self._coefficients = scales * np.linalg.solve(root.T, half)
        # covariance = spread @ spread.T
        self._spread = scales[:, None] * np.linalg.inv(root).T
        return float(-np.log(noise).sum() / 2 - np.log(np.diag(root)).sum() -
                     (self._y**2 / noise).sum() / 2 + (half**2).sum() / 2)

    def predict(self, codes: np.ndarray) -> Prediction:
        """What is believed of subnets that were not measured."""
        x = self._features(codes)
        variance = ((x @ self._spread)**2).sum(1) + self._residual**2
        return Prediction(x @ self._coefficients + self._centre,
                          np.sqrt(variance))

    def measured(self) -> Prediction:
        """What is believed of the measured subnets, in the order given."""
        line = self._x @ self._coefficients
        unexplained = self._residual**2
        share = unexplained / (unexplained + self._noise)
        mean = line + share * (self._y - line) + self._centre
        variance = (1 - share)**2 * ((self._x @ self._spread)**2).sum(1) + \
            unexplained * (1 - share)
        return Prediction(mean, np.sqrt(variance))

    def draw(self, codes: np.ndarray, rng: np.random.Generator,
             num: int) -> np.ndarray:
        """Draws accuracies of unmeasured subnets from what is believed of them
        (Thompson sampling), ``(num, N)``, without their residuals."""
        x = self._features(codes)
        random = rng.standard_normal((num, x.shape[1]))
        return (self._coefficients + random @ self._spread.T) @ x.T
