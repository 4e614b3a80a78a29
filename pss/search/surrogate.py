"""A model of accuracy that is fitted to what was measured so far."""

from typing import List, NamedTuple

import numpy as np

from ..structures import SearchSpace

_INTERCEPT = 100.  # standard deviation of the mean accuracy, in points


class Scales(NamedTuple):
    """What the prior supposes of accuracy, in points where not said otherwise.

    Attributes:
        slope: standard deviation of how much the whole range of a width, or of
            the resolution, adds or takes.
        bump: standard deviation of what is not linear.
        resolution: how fast that changes with the resolution: one over the
            share of its range over which it does.
        width: the same for the widths, over the root mean square of all.
        residual: standard deviation of what a subnet has of its own.
    """
    slope: float
    bump: float
    resolution: float
    width: float
    residual: float


_GRIDS = Scales(
    slope=(0.1, 1., 3.),  # type: ignore[arg-type]
    bump=(0.1, 1., 3., 6.),  # type: ignore[arg-type]
    resolution=(0.5, 1., 2., 3., 5.),  # type: ignore[arg-type]
    width=(0.5, 1., 2., 3.),  # type: ignore[arg-type]
    residual=(0.1, 0.2, 0.4, 0.7, 1.))  # type: ignore[arg-type]
_FIRST = Scales(slope=1., bump=3., resolution=2., width=1., residual=0.4)


class Prediction(NamedTuple):
    """What is believed of subnets' accuracies, in percent.

    Attributes:
        mean: ``(N, )``.
        std: standard deviations ``(N, )``.
    """
    mean: np.ndarray
    std: np.ndarray


class Posterior(NamedTuple):
    """What the measurements say, if the scales are known."""
    log_likelihood: float
    scales: Scales
    root: np.ndarray  # of the measurements' covariance, lower triangular
    weights: np.ndarray  # inverse covariance times the measurements


class Surrogate:
    """Gaussian-process regression of accuracy on resolution and widths.

    A subnet's accuracy is a linear function of its resolution and widths, a
    smooth one that lets all of them interact, and a residual of its own. Each
    measurement has its own standard error. So lucky subnets are shrunk towards
    what similar ones reach, the more the fewer images they were measured on.
    The scales of the prior maximise the likelihood of the measurements over a
    grid, one after the other; the residual's is averaged over, by likelihood,
    since few measurements cannot tell a small one from none (Rasmussen &
    Williams, "Gaussian Processes for Machine Learning", ch. 2 and 5).

    Args:
        space: the space of the subnets.
        codes: the measured subnets, all different, ``(N, 1 + K)``.
        accuracy: theirs in percent, ``(N, )``.
        error: standard errors of these, ``(N, )``.

    Attributes:
        posteriors: for each scale of the residual what is believed.
        probabilities: of these.
    """

    def __init__(self, space: SearchSpace, codes: np.ndarray,
                 accuracy: np.ndarray, error: np.ndarray) -> None:
        self._space = space
        self._centre = float(np.average(accuracy, weights=error**-2.))
        self._y = accuracy - self._centre
        self._x = self._places(codes)
        self._noise = error**2
        self.posteriors: List[Posterior] = []
        self.probabilities = np.zeros(0)
        self._fit()

    def _places(self, codes: np.ndarray) -> np.ndarray:
        """Resolution and widths as shares of their ranges, from -0.5 to 0.5:
        ``(N, 1 + K)``."""
        values = [np.array(self._space.resolutions, float)]
        values += [np.array(w.choices, float) for w in self._space.widths]
        return np.stack([(v[c] - v[0]) / max(v[-1] - v[0], 1e-9) - 0.5
                         for v, c in zip(values,
                                         np.asarray(codes).T)],
                        axis=1)

    def _fit(self) -> None:
        scales, best = _FIRST, self._weigh(_FIRST)
        improved = True
        while improved:
            improved = False
            for name, grid in zip(Scales._fields[:-1], _GRIDS):
                for value in grid:  # type: ignore[attr-defined]
                    trial = scales._replace(**{name: value})
                    found = self._weigh(trial) if trial != scales else best
                    if found > best + 1e-9:
                        scales, best, improved = trial, found, True
        self._weigh(scales)

    def _weigh(self, scales: Scales) -> float:
        """Finds what is believed for each scale of the residual; returns the
        log-likelihood of the others, but for a constant."""
        prior = self._prior(self._x, self._x, scales)
        self.posteriors = [
            self._condition(prior, scales._replace(residual=residual))
            for residual in _GRIDS.residual  # type: ignore[attr-defined]
        ]
        logs = np.array([p.log_likelihood for p in self.posteriors])
        likelihoods = np.exp(logs - logs.max())
        self.probabilities = likelihoods / likelihoods.sum()
        return float(logs.max() + np.log(likelihoods.mean()))

    def _prior(self, one: np.ndarray, two: np.ndarray,
               scales: Scales) -> np.ndarray:
        """The prior covariance of subnets, but for their residuals."""
        sizes = np.subtract.outer(one[:, 0], two[:, 0])**2
        squares = (one[:, 1:]**2).mean(1)[:, None] + (two[:, 1:]**2).mean(1)
        widths = squares - 2 * one[:, 1:] @ two[:, 1:].T / (one.shape[1] - 1)
        far = scales.resolution**2 * sizes + scales.width**2 * widths
        covariance: np.ndarray = _INTERCEPT**2 + \
            scales.slope**2 * one @ two.T + scales.bump**2 * np.exp(-far / 2)
        return covariance

    def _condition(self, prior: np.ndarray, scales: Scales) -> Posterior:
        noise = self._noise + scales.residual**2
        root = np.linalg.cholesky(prior + np.diag(noise))
        half = np.linalg.solve(root, self._y)
        return Posterior(
            float(-half @ half / 2 - np.log(np.diag(root)).sum()), scales, root,
            np.linalg.solve(root.T, half))

    def measured(self) -> Prediction:
        """What is believed of the measured subnets, in the order given."""
        means, variances = [], []
        for p in self.posteriors:
            inverse = np.linalg.solve(
                p.root.T, np.linalg.solve(p.root, np.eye(len(self._y))))
            means.append(self._y - self._noise * p.weights)
            variances.append(self._noise - self._noise**2 * np.diag(inverse))
        return self._mixed(np.array(means), np.array(variances))

    def predict(self, codes: np.ndarray) -> Prediction:
        """What is believed of subnets that were not measured."""
        x = self._places(codes)
        means, variances = [], []
        for p in self.posteriors:
            across = self._prior(x, self._x, p.scales)
            half = np.linalg.solve(p.root, across.T)
            alone = _INTERCEPT**2 + p.scales.slope**2 * (x**2).sum(1) + \
                p.scales.bump**2 + p.scales.residual**2
            means.append(across @ p.weights)
            variances.append(alone - (half**2).sum(0))
        return self._mixed(np.array(means), np.array(variances))

    def _mixed(self, means: np.ndarray, variances: np.ndarray) -> Prediction:
        """Mixes what is believed for each scale of the residual."""
        mean = self.probabilities @ means
        variance = self.probabilities @ (variances + (means - mean)**2)
        return Prediction(mean + self._centre,
                          np.sqrt(np.maximum(variance, 0.)))
