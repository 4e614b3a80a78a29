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
    assert standard_error(100., 10) == 0


def test_differences_do_not_depend_on_which_images():
    """Oracle: the same subnets on all 20,000 images. Those measured on the
    first 400 are compared with others measured on all as if on the same
    images: less error than without, and as much as it says."""
    plain, adjusted, scaled = [], [], []
    for seed in range(12):
        world = Simulated(seed, images=20_000)
        subnets = world.space.decode(
            world.space.random(np.random.default_rng(seed), 12))
        ends = [world.space.largest, world.space.smallest]
        every = world.hits(subnets, 20_000, True)
        evidence = Evidence(world.space, world.hits(ends, 20_000, True))
        evidence.add(subnets, every[:, :400])
        measured = evidence.measured()
        truth = 100 * every.mean(1)
        plain.append(100 * every[:, :400].mean(1) - truth)
        adjusted.append(measured.accuracy - truth)
        scaled.append((measured.accuracy - truth) / measured.error)
    assert measured.subnets == subnets and set(measured.images) == {400}
    assert np.std(adjusted) < 0.85 * np.std(plain)
    assert 0.7 < np.std(scaled) < 1.3


def test_later_measurements_replace_earlier_ones():
    """Oracle: the shares counted by hand."""
    world = Simulated(images=1000)
    first, second = world.space.decode(
        world.space.random(np.random.default_rng(0), 2))
    hits = world.hits([first, second], 1000, True)
    evidence = Evidence(world.space, hits)
    evidence.add([first], hits[:1, :100])
    assert evidence.images(first) == 100 and evidence.images(second) == 0
    evidence.add([second, first], hits[::-1])
    measured = evidence.measured()
    assert measured.subnets == [first, second]
    assert measured.images.tolist() == [1000, 1000]
    assert np.allclose(measured.accuracy, 100 * hits.mean(1))
