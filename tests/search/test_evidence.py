"""Measurements on different numbers of images."""

import numpy as np
import pytest

from pss.search import Evidence, standard_error

from .simulated import Simulated


def test_standard_error():
    """Oracle: the spread of 20,000 simulated accuracies on 400 images."""
    rng = np.random.default_rng(0)
    accuracy = 100 * rng.binomial(400, 0.85, 20_000) / 400
    assert standard_error(85., 400) == pytest.approx(accuracy.std(), rel=0.02)
    # 10.5 of 11 are right
    assert standard_error(100., 10) == pytest.approx(6.587, abs=1e-3)


def test_accuracies_do_not_depend_on_which_images():
    """Oracle: the same subnets on all 20,000 images. Those measured on the
    first 400 are compared with others measured on all as if on the same
    images: less error than without. Their order has the error that is said,
    which is smaller than that of an accuracy."""
    plain, adjusted, scaled = [], [], []
    for seed in range(12):
        world = Simulated(seed, images=20_000)
        rng = np.random.default_rng(seed)
        subnets = world.space.decode(world.space.random(rng, 12))
        every = world.hits(subnets, 20_000, True)
        evidence = Evidence(world.space)
        evidence.add(subnets[:4], every[:4], True)
        evidence.add(subnets[4:], every[4:, :400])
        measured = evidence.measured()
        assert measured.subnets == subnets
        assert measured.images.tolist() == [20_000] * 4 + [400] * 8
        assert measured.final.tolist() == [True] * 4 + [False] * 8
        truth = 100 * every.mean(1)
        assert np.allclose(measured.accuracy[:4], truth[:4])
        wrong = (measured.accuracy - truth)[4:]
        plain.append(100 * every[4:, :400].mean(1) - truth[4:])
        adjusted.append(wrong)
        scaled.append((wrong - wrong.mean()) / measured.error[4:])
        assert measured.error[4:].max() < standard_error(85., 400)
    assert np.std(adjusted) < 0.8 * np.std(plain)
    assert 0.6 < np.std(scaled) * (8 / 7)**0.5 < 1.2


def test_later_measurements_replace_earlier_ones():
    """Oracle: the shares counted by hand."""
    world = Simulated(images=1000)
    first, second = world.space.decode(
        world.space.random(np.random.default_rng(0), 2))
    hits = world.hits([first, second], 1000, True)
    evidence = Evidence(world.space)
    evidence.add([first], hits[:1, :100])
    assert evidence.images(first) == 100 and evidence.images(second) == 0
    evidence.add([second, first], hits[::-1], True)
    measured = evidence.measured()
    assert measured.subnets == [first, second] and measured.final.all()
    assert measured.images.tolist() == [1000, 1000]
    assert np.allclose(measured.accuracy, 100 * hits.mean(1))
