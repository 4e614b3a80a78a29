import numpy as np
import pytest

from pss.sampling.additive_model import (
    EFFECT_RIDGE,
    SHORTEST_MEMORY,
    AdditiveModel,
)

from .enumeration import logarithms_of, random_table


@pytest.fixture
def space():
    """Four widths, three resolutions."""
    rng = np.random.default_rng(0)
    return random_table(rng, [64, 96, 128, 64], [(0, 1)]).space


def observations(space, num, levels, rng):
    """Levels, features, losses and covariates: additive but for noise, which
    the losses of an iteration share."""
    model = AdditiveModel(space, levels)
    codes = space.random(rng, num)
    level = rng.integers(levels, size=num)
    features = model.features(codes)
    slopes = rng.normal(0.02, 0.02, (levels, features.shape[1]))
    batch = rng.normal(0., 0.3, num)
    covariates = np.stack([1 + batch, 2 + 1.1 * batch], 1) + \
        rng.normal(0., 0.02, (num, 2))
    worth = (features * slopes[level]).sum(1)
    losses = 1.5 - 0.2 * level - worth + batch + rng.normal(0., 0.05, num)
    return level, features, losses, covariates, slopes


def test_features(space):
    """Oracle: by hand; the tilt says the same of every choice."""
    model = AdditiveModel(space, 1)
    ends = [[0] * 5, [n - 1 for n in space.shape]]
    end, (own, other) = np.sqrt(3), (2 / np.sqrt(3), -1 / np.sqrt(3))
    assert model.features(np.array(ends)) == pytest.approx(
        np.array([[-end, own, other, other, *[-end] * 4, *[2.] * 4, *[3.] * 4],
                  [end, other, other, own, *[end] * 4, *[2.] * 4, *[3.] * 4]]))
    codes = space.random(np.random.default_rng(0), 50)
    slopes = np.arange(1., 1 + model.num_features)
    assert logarithms_of(model.tilt(slopes), codes) == pytest.approx(
        model.features(codes) @ slopes)


def weights_of(num):
    """How much each of so many observations counts, one after the other."""
    weights = np.zeros(num)
    for i in range(num):
        weights[:i] *= 1 - 1 / max(0.5 * (i + 1), SHORTEST_MEMORY)
        weights[i] = 1
    return weights


@pytest.mark.parametrize('num', [3, 60, 1000])
def test_fit(space, num):
    """Oracle: the weighted sums of squares, written down with all observations,
    a column for the intercept of each level and rows for the shrinking."""
    rng = np.random.default_rng(num)
    levels, ridge, pooling = 3, 2., 7.
    level, features, losses, covariates, _ = observations(
        space, num, levels, rng)
    model = AdditiveModel(space, levels, ridge=ridge, pooling=pooling)
    for row in zip(level, features, losses, covariates):
        model.observe(*row)
    assert model.observations == num
    weights = weights_of(num)
    roots = np.sqrt(weights)[:, None]
    size = features.shape[1]
    rows = np.hstack([np.eye(levels)[level], features, covariates]) * roots
    shrink = np.zeros((size + 2, rows.shape[1]))
    shrink[:, levels:] = np.diag(
        np.sqrt([ridge] * size + [EFFECT_RIDGE * ridge] * 2))
    common = np.linalg.lstsq(
        np.vstack([rows, shrink]),
        np.concatenate([-losses * roots[:, 0],
                        np.zeros(size + 2)]),
        rcond=None)[0]
    slopes, effects = common[levels:-2], common[-2:]
    recent = np.average(covariates, axis=0, weights=weights)
    for i in set(level):
        mine = level == i
        rows = np.hstack([np.ones((num, 1)), features])[mine] * roots[mine]
        shrink = np.sqrt(pooling) * np.eye(size, size + 1, 1)
        target = (-losses - covariates @ effects)[mine] * roots[mine, 0]
        wanted = np.linalg.lstsq(
            np.vstack([rows, shrink]),
            np.concatenate([target, np.sqrt(pooling) * slopes]),
            rcond=None)[0]
        model._fit(i)  # fits are up to a twentieth old
        intercept, found = model.fit(i)
        assert found == pytest.approx(wanted[1:], abs=1e-8)
        assert intercept == pytest.approx(
            wanted[0] + recent @ effects, abs=1e-8)


def test_fits_are_new_enough(space):
    """Oracle: a fit of all observations, whose predictions the fit at hand has
    but for a tenth of their spread."""
    rng = np.random.default_rng(5)
    level, features, losses, covariates, _ = observations(space, 2000, 2, rng)
    model = AdditiveModel(space, 2)
    for row in zip(level, features, losses, covariates):
        model.observe(*row)
    for i in range(2):
        before = features @ model.fit(i)[1]
        model._fit(i)
        now = features @ model.fit(i)[1]
        assert np.std(now - before) < 0.1 * np.std(now)


def test_learns_what_is_true(space):
    """Oracle: the slopes that made the data: predictions have the error of so
    many slopes from so many observations with a noise of 0.06."""
    rng = np.random.default_rng(0)
    level, features, losses, covariates, slopes = observations(
        space, 4000, 3, rng)
    model = AdditiveModel(space, 3, pooling=1.)
    for entry in zip(level, features, losses, covariates):
        model.observe(*entry)
    remembered = 4000 * 0.5 / 3
    error = 0.06 * np.sqrt(features.shape[1] / remembered)
    for i in range(3):
        _, found = model.fit(i)
        assert np.std(features @ (found - slopes[i])) < 1.5 * error


def test_no_observation(space):
    """Oracle: nothing is known, so that nothing is preferred; the first
    observation of a level learns the slopes that the others have in common."""
    model = AdditiveModel(space, 2)
    assert not model.fit(0)[1].any()
    rng = np.random.default_rng(0)
    _, features, losses, covariates, _ = observations(space, 100, 1, rng)
    for entry in zip(features, losses, covariates):
        model.observe(0, *entry)
    assert not model.fit(1)[1].any()
    model.observe(1, features[0], losses[0], covariates[0])
    ours, theirs = (features @ model.fit(i)[1] for i in range(2))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9


def test_going_on(space):
    """Oracle: the model that was not interrupted, bit by bit."""
    rng = np.random.default_rng(0)
    level, features, losses, covariates, _ = observations(space, 200, 2, rng)
    model, other = AdditiveModel(space, 2), AdditiveModel(space, 2)
    rows = list(zip(level, features, losses, covariates))
    for row in rows[:120]:
        model.observe(*row)
    for i in range(2):
        other.load(i, other.check_state(model.state_of(i)))
    for row in rows[120:]:
        model.observe(*row)
        other.observe(*row)
    for i in range(2):
        assert model.fit(i)[1].tolist() == other.fit(i)[1].tolist()
