"""The additive surrogate."""

import numpy as np
import pytest

from pss.search import AdditiveSurrogate
from pss.search import surrogate as module
from pss.structures import SearchSpace, Width

SPACE = SearchSpace([Width.of(32, (0.5, 1.), 4)] * 3, [16, 20, 24, 28])


def measurements(num=40, seed=0, residual=0.4):
    """Codes, accuracies, their standard errors, and the true accuracies."""
    rng = np.random.default_rng(seed)
    codes = SPACE.random(rng, num)
    truth = 85 + codes @ np.array([0.6, 0.2, 0.1, 0.4]) + \
        residual * rng.standard_normal(num)
    error = rng.uniform(0.3, 1.5, num)
    return codes, truth + error * rng.standard_normal(num), error, truth


def features(codes):
    """The features, one subnet after the other."""
    rows = []
    for code in codes.tolist():
        size = (SPACE.resolutions[code[0]] - 16) / 12 - 0.5
        widths = [
            (w.choices[c] - w.choices[0]) / (w.choices[-1] - w.choices[0]) - 0.5
            for w, c in zip(SPACE.widths, code[1:])
        ]
        mean = sum(widths) / len(widths)
        rows.append([1, size, *widths, size**2, mean**2, size * mean])
    return np.array(rows)


def prior_of(codes, scales, residual):
    """The prior covariance of subnets' accuracies."""
    x = features(codes)
    std = np.array([100., *[scales[0]] * 4, *[scales[1]] * 3])
    return (x * std**2) @ x.T + residual**2 * np.eye(len(x))


def test_posterior():
    """Oracle: conditioning the joint normal distribution of all accuracies
    and measurements, with dense matrices, for every scale of the residuals;
    their mixture."""
    codes, accuracy, error, _ = measurements()
    known, new = codes[:30], codes[30:]
    surrogate = AdditiveSurrogate(SPACE, known, accuracy[:30], error[:30])
    centre = np.average(accuracy[:30], weights=error[:30]**-2)
    y, means, squares, lines = accuracy[:30] - centre, [], [], []
    for p in surrogate.posteriors:
        prior = prior_of(codes, surrogate.scales, p.residual)
        noisy = prior[:30, :30] + np.diag(error[:30]**2)
        gain = np.linalg.solve(noisy, prior[:30]).T
        covariance = prior - gain @ prior[:30]
        means.append(gain @ y)
        squares.append(np.diag(covariance) + means[-1]**2)
        lines.append(covariance[30:, 30:] - p.residual**2 * np.eye(10) +
                     np.outer(means[-1][30:], means[-1][30:]))
    weights = np.array([p.weight for p in surrogate.posteriors])
    assert weights.sum() == pytest.approx(1)
    mean = weights @ means
    std = np.sqrt(weights @ squares - mean**2)
    found, predicted = surrogate.measured(), surrogate.predict(new)
    assert np.allclose(found.mean, centre + mean[:30], atol=1e-6)
    assert np.allclose(found.std, std[:30], atol=1e-6)
    assert np.allclose(predicted.mean, centre + mean[30:], atol=1e-6)
    assert np.allclose(predicted.std, std[30:], atol=1e-6)
    drawn = surrogate.draw(new, np.random.default_rng(0), 20_000)
    assert np.allclose(drawn.mean(0), predicted.mean, atol=0.03)
    line = np.tensordot(weights, lines, 1) - np.outer(mean[30:], mean[30:])
    assert np.allclose(np.cov(drawn.T), line, atol=0.03)


def test_weights_are_likelihoods():
    """Oracle: the density of the measurements, a multivariate normal
    distribution, for every choice of scales; none of slopes or curvatures
    alone is likelier than the chosen."""
    codes, accuracy, error, _ = measurements(60, seed=3)
    found = AdditiveSurrogate(SPACE, codes, accuracy, error)
    y = accuracy - np.average(accuracy, weights=error**-2)

    def density(scales, residual):
        noisy = prior_of(codes, scales, residual) + np.diag(error**2)
        log = -(np.linalg.slogdet(noisy)[1] + y @ np.linalg.solve(noisy, y)) / 2
        return np.exp(log + 20)

    weights = [density(found.scales, p.residual) for p in found.posteriors]
    assert np.allclose([p.weight for p in found.posteriors],
                       np.array(weights) / sum(weights))
    for scales in [(x, found.scales[1])
                   for x in module._SLOPES] + [(found.scales[0], x)
                                               for x in module._CURVES]:
        assert sum(density(scales, p.residual)
                   for p in found.posteriors) <= sum(weights) * (1 + 1e-6)


@pytest.mark.parametrize('residual', [0., 0.4])
def test_it_is_closer_to_the_truth_than_measurements(residual):
    """Oracle: the true accuracies; its own standard deviations say how close
    it is."""
    raw, shrunk, scaled = [], [], []
    for seed in range(20):
        codes, accuracy, error, truth = measurements(60, seed, residual)
        found = AdditiveSurrogate(SPACE, codes, accuracy, error).measured()
        raw.append(np.std(accuracy - truth))
        shrunk.append(np.std(found.mean - truth))
        scaled.append(np.mean(((found.mean - truth) / found.std)**2))
    assert np.mean(shrunk) < 0.55 * np.mean(raw)
    assert 0.4 < np.mean(scaled) < 1.6
