"""An additive model of accuracy, fitted to what was measured so far."""

from typing import NamedTuple, Sequence, Tuple

import numpy as np

from ..structures import SearchSpace

# What the prior's standard deviations may be, in points of accuracy: of slopes,
# of curvatures, and of what a subnet has that the model does not explain.
_SLOPES = (0.3, 1., 3., 10.)
_CURVES = (0.03, 0.3, 1., 3.)
_RESIDUALS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.)
_INTERCEPT = 100.
CURVES = 3  # the last features


class Posterior(NamedTuple):
    """What is believed if the scales of the priors are known.

    Attributes:
        weight: the probability of these scales.
        residual: their standard deviation of what a subnet has of its own, in
            points.
        coefficients: of the features, their means.
        spread: ``spread @ spread.T`` is the coefficients' covariance.
    """
    weight: float
    residual: float
    coefficients: np.ndarray
    spread: np.ndarray


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
    network is, and a residual of its own. All have normal priors. Those of
    slopes and curvatures have the scales, of a grid, that make the measurements
    likeliest (empirical Bayes); residuals are weighted by how likely their
    scales make them, since few measurements cannot tell a small one from none.
    So lucky subnets are shrunk towards what similar ones reach, the more the
    fewer images they were measured on.

    Args:
        space: the space of the subnets.
        codes: the measured subnets, ``(N, 1 + K)``.
        accuracy: theirs in percent, ``(N, )``.
        error: standard errors of these, ``(N, )``.

    Attributes:
        scales: the standard deviations of slopes and of curvatures.
        posteriors: for each scale of the residuals what is believed.
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
        self.scales = (_SLOPES[len(_SLOPES) // 2], _CURVES[len(_CURVES) // 2])
        best = self._weigh(self.scales)
        improved = True
        while improved:
            improved = False
            trials = [(x, self.scales[1]) for x in _SLOPES]
            trials += [(self.scales[0], x) for x in _CURVES]
            for trial in trials:
                found = self._weigh(trial)
                if found > best + 1e-9:
                    best, self.scales, improved = found, trial, True
        self._weigh(self.scales)

    def _weigh(self, scales: Tuple[float, float]) -> float:
        """Finds what is believed for scales of slopes and curvatures; returns
        their log-likelihood, but for a constant."""
        found = [self._posterior(scales, residual) for residual in _RESIDUALS]
        logs = np.array([p.weight for p in found])
        weights = np.exp(logs - logs.max())
        self.posteriors = [
            p._replace(weight=w)
            for p, w in zip(found, (weights / weights.sum()).tolist())
        ]
        return float(logs.max() + np.log(weights.mean()))

    def _posterior(self, scales: Tuple[float, float],
                   residual: float) -> Posterior:
        """Its weight is the log-likelihood, but for a constant."""
        num = self._x.shape[1]
        slope, curve = scales
        std = np.array(
            [_INTERCEPT, *[slope] * (num - 1 - CURVES), *[curve] * CURVES])
        noise = self._noise + residual**2
        x = self._x * std  # for coefficients of unit variance
        precision = np.eye(num) + (x / noise[:, None]).T @ x
        root = np.linalg.cholesky(precision)
        half = np.linalg.solve(root, x.T @ (self._y / noise))
        likelihood = (half @ half - (self._y**2 / noise).sum() -
                      np.log(noise).sum()) / 2 - np.log(np.diag(root)).sum()
        return Posterior(
            float(likelihood), residual, std * np.linalg.solve(root.T, half),
            std[:, None] * np.linalg.inv(root).T)

    def predict(self, codes: np.ndarray) -> Prediction:
        """What is believed of subnets that were not measured."""
        x = self._features(codes)
        return self._mixed([(x @ p.coefficients,
                             ((x @ p.spread)**2).sum(1) + p.residual**2)
                            for p in self.posteriors])

    def measured(self) -> Prediction:
        """What is believed of the measured subnets, in the order given."""
        found = []
        for p in self.posteriors:
            line = self._x @ p.coefficients
            share = p.residual**2 / (p.residual**2 + self._noise)
            variance = ((self._x @ p.spread)**2).sum(1)
            found.append((line + share * (self._y - line),
                          (1 - share)**2 * variance + self._noise * share))
        return self._mixed(found)

    def _mixed(self, found: Sequence[Tuple[np.ndarray,
                                           np.ndarray]]) -> Prediction:
        """Mixes means and variances by the weights of the posteriors."""
        weights = np.array([p.weight for p in self.posteriors])
        means, variances = (np.array(part) for part in zip(*found))
        mean = weights @ means
        variance = weights @ (variances + (means - mean)**2)
        return Prediction(mean + self._centre, np.sqrt(variance))

    def draw(self, codes: np.ndarray, rng: np.random.Generator,
             num: int) -> np.ndarray:
        """Draws accuracies of unmeasured subnets from what is believed of them
        (Thompson sampling), ``(num, N)``, without their residuals."""
        x = self._features(codes)
        weights = [p.weight for p in self.posteriors]
        found = []
        for i in rng.choice(len(weights), num, p=weights):
            p = self.posteriors[i]
            random = rng.standard_normal(x.shape[1])
            found.append(x @ (p.coefficients + p.spread @ random))
        return np.array(found) + self._centre
