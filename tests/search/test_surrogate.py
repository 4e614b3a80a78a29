"""The surrogate."""

import numpy as np
import pytest

from pss.search import Surrogate
from pss.search import surrogate as module
from pss.structures import SearchSpace, Width

SPACE = SearchSpace([Width.of(32, (0.5, 1.), 4)] * 3, [16, 20, 24, 28])


def measurements(num=40, seed=0, residual=0.4):
    """Codes, accuracies, their standard errors, and the true accuracies, in
    which widths matter more at high resolutions."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(SPACE.enumerate())[:num]
    truth = 85 + codes @ np.array([0.6, 0.1, 0.1, 0.2]) + \
        0.15 * codes[:, 0] * codes[:, 1] + residual * rng.standard_normal(num)
    error = rng.uniform(0.3, 1.5, num)
    return codes, truth + error * rng.standard_normal(num), error, truth


def prior_of(codes, scales):
    """The prior covariance of subnets' accuracies, pair by pair."""

    def place(code):
        values = [SPACE.resolutions, *(w.choices for w in SPACE.widths)]
        return [(v[c] - v[0]) / (v[-1] - v[0]) - 0.5
                for v, c in zip(values, code)]

    places = [place(code) for code in codes.tolist()]
    found = np.empty((len(codes), len(codes)))
    for i, one in enumerate(places):
        for j, two in enumerate(places):
            widths = np.mean([(a - b)**2 for a, b in zip(one[1:], two[1:])])
            far = scales.resolution**2 * (one[0] - two[0])**2 + \
                scales.width**2 * widths
            found[i, j] = 100**2 + scales.slope**2 * np.dot(one, two) + \
                scales.bump**2 * np.exp(-far / 2)
    return found + scales.residual**2 * np.eye(len(codes))


def test_posterior():
    """Oracle: conditioning the joint normal distribution of all accuracies and
    measurements, with dense matrices, for every scale of the residuals; their
    mixture."""
    codes, accuracy, error, _ = measurements()
    known, new = codes[:30], codes[30:]
    surrogate = Surrogate(SPACE, known, accuracy[:30], error[:30])
    centre = np.average(accuracy[:30], weights=error[:30]**-2)
    y, means, squares = accuracy[:30] - centre, [], []
    for p in surrogate.posteriors:
        prior = prior_of(codes, p.scales)
        noisy = prior[:30, :30] + np.diag(error[:30]**2)
        gain = np.linalg.solve(noisy, prior[:30]).T
        means.append(gain @ y)
        squares.append(np.diag(prior - gain @ prior[:30]) + means[-1]**2)
    weights = surrogate.probabilities
    assert weights.sum() == pytest.approx(1)
    mean = weights @ means
    std = np.sqrt(weights @ squares - mean**2)
    found, predicted = surrogate.measured(), surrogate.predict(new)
    assert np.allclose(found.mean, centre + mean[:30], atol=1e-5)
    assert np.allclose(found.std, std[:30], atol=1e-4)
    assert np.allclose(predicted.mean, centre + mean[30:], atol=1e-5)
    assert np.allclose(predicted.std, std[30:], atol=1e-4)


def test_scales_are_the_likeliest():
    """Oracle: the density of the measurements, a multivariate normal
    distribution; no change of a single scale makes them likelier, and residuals
    are weighted by it."""
    codes, accuracy, error, _ = measurements(50, seed=3)
    found = Surrogate(SPACE, codes, accuracy, error)
    y = accuracy - np.average(accuracy, weights=error**-2)

    def density(scales):
        noisy = prior_of(codes, scales) + np.diag(error**2)
        log = -(np.linalg.slogdet(noisy)[1] + y @ np.linalg.solve(noisy, y)) / 2
        return np.exp(log + 30)

    chosen = np.array([density(p.scales) for p in found.posteriors])
    assert np.allclose(found.probabilities, chosen / chosen.sum(), atol=1e-6)
    for name in module.Scales._fields[:-1]:
        for value in getattr(module._GRIDS, name):
            others = [
                density(p.scales._replace(**{name: value}))
                for p in found.posteriors
            ]
            assert sum(others) <= chosen.sum() * (1 + 1e-6)


@pytest.mark.parametrize('residual', [0., 0.4])
def test_it_is_closer_to_the_truth_than_measurements(residual):
    """Oracle: the true accuracies; its own standard deviations say how close it
    is, of subnets that were measured and of others."""
    raw, shrunk, scaled, unseen = [], [], [], []
    for seed in range(20):
        codes, accuracy, error, truth = measurements(80, seed, residual)
        surrogate = Surrogate(SPACE, codes[:60], accuracy[:60], error[:60])
        found, others = surrogate.measured(), surrogate.predict(codes[60:])
        raw.append(np.std(accuracy[:60] - truth[:60]))
        shrunk.append(np.std(found.mean - truth[:60]))
        scaled.append(np.mean(((found.mean - truth[:60]) / found.std)**2))
        unseen.append(np.mean(((others.mean - truth[60:]) / others.std)**2))
    assert np.mean(shrunk) < 0.6 * np.mean(raw)
    assert 0.4 < np.mean(scaled) < 1.6 and 0.4 < np.mean(unseen) < 1.6
