"""The search, on a simulated supernet whose truth is known."""

import re

import numpy as np
import pytest

from pss.errors import InputError
from pss.search import Level, SubnetSearch
from pss.structures import Budget

from .simulated import Simulated

LEVELS = (30., 38., 46., 54.)


def winners_of(world, level, measured):
    """A level's winners."""
    cost = world.cost(measured.codes)
    inside = (cost >= level.budget.low) & (cost < level.budget.high)
    return [
        measured.subnets[i] for i in np.flatnonzero(inside & measured.final)
    ]


def test_it_beats_as_many_images_spent_directly():
    """Oracle: the true strength of subnets. At no more images than 50 subnets
    of each level compared directly, what it finds is better by at least three
    standard errors, and by more than a standard deviation of the level."""
    ahead, gains = [], []
    for seed in range(6):
        world = Simulated(seed)
        levels = world.levels(LEVELS, 2.)
        found, _ = SubnetSearch().run(world.space, levels, world.images,
                                      world.hits, seed)
        images = world.spent // (50 * len(levels))
        for level in levels:
            best, = winners_of(world, level, found)
            drawn = level.draw(np.random.default_rng(seed), 50)
            strength = world.strength(drawn)
            hits = world.hits(drawn, images, False).mean(1)
            ours = world.strength([best])[0]
            ahead.append(ours - strength[hits.argmax()])
            gains.append((ours - strength.mean()) / strength.std())
    error = np.std(ahead, ddof=1) / np.sqrt(len(ahead))
    assert np.mean(ahead) > 3 * error
    assert np.mean(gains) > 1.


def test_it_spends_what_it_plans_and_repeats_itself():
    """Oracle: the numbers of subnets and images counted by hand; a second run;
    another seed, which finds others."""
    search = SubnetSearch(candidates=10, finalists=2, share=0.3)
    runs = []
    for seed in (5, 5, 6):
        world = Simulated(images=2000)
        calls = []

        def evaluate(subnets, images, final, world=world, calls=calls):
            calls.append((len(subnets), images, final))
            return world.hits(subnets, images, final)

        levels = world.levels(LEVELS, 2.)
        runs.append((search.run(world.space, levels, 2000, evaluate,
                                seed), calls))
    (one, calls), (two, _), (other, _) = runs
    assert calls == [(2, 2000, True), (24, 600, False), (8, 600, False),
                     (8, 600, False), (16, 1800, False), (8, 2000, False),
                     (4, 2000, True)]
    assert search.planned(
        4, 2000) == 2 * 2000 + 4 * (10 * 600 + 4 * 1200 + 2 * 200 + 2000)
    assert one[0].subnets == two[0].subnets
    assert np.array_equal(one[1].mean, two[1].mean)
    assert one[0].subnets != other[0].subnets


def test_known_subnets_come_first():
    """Oracle: a level of three known subnets that draws nothing else; all are
    measured, and the finalist is the strongest."""
    world = Simulated(images=4000)
    known = [world.space.at(m, r) for m, r in ((0.6, 20), (0.8, 24), (1., 28))]
    level = Level(
        Budget('cost', 50., 100.), known,
        lambda rng, num: [known[i] for i in rng.integers(3, size=num)])
    measured, expected = SubnetSearch(
        candidates=3, finalists=1).run(world.space, [level], 4000, world.hits,
                                       0)
    assert set(known) <= set(measured.subnets)
    final = [s for s, n in zip(measured.subnets, measured.images) if n == 4000]
    assert known[world.strength(known).argmax()] in final


@pytest.mark.parametrize('candidates', [1, 3])
def test_few_images_and_candidates(candidates):
    """Oracle: with as few images as allowed all are measured on all, and yet
    only the finalists and the ends of the space finally."""
    world = Simulated(images=100)
    levels = world.levels(LEVELS, 2.)
    calls = []

    def evaluate(subnets, images, final):
        calls.append((len(subnets), images, final))
        return world.hits(subnets, images, final)

    measured, _ = SubnetSearch(
        candidates=candidates, finalists=1).run(world.space, levels, 100,
                                                evaluate, 0)
    assert calls == [(2, 100, True), (4 * candidates, 100, False),
                     (4, 100, True)]
    assert measured.final.sum() == 6 and set(measured.images) == {100}


def test_few_images_are_an_error():
    """Oracle: the message says how many there are and how many are needed."""
    world = Simulated(images=99)
    with pytest.raises(
            InputError,
            match=re.escape('99 held-out images cannot rank subnets'
                            '; expected at least 100')):
        SubnetSearch().run(world.space, world.levels(LEVELS, 2.), 99,
                           world.hits, 0)


@pytest.mark.parametrize('settings, message', [
    (dict(candidates=0), 'test_cfg.search.candidates=0: expected an integer'),
    (dict(candidates=2, finalists=3), 'finalists=3: expected an integer of at '
     'least 1 and at most 2'),
    (dict(share=0.), 'test_cfg.search.share=0.0: expected a finite number'),
    (dict(share='a'), 'test_cfg.search.share=.a.: expected a finite number'),
])
def test_impossible_settings(settings, message):
    """Oracle: the message names field, value and what was expected."""
    with pytest.raises(InputError, match=message):
        SubnetSearch(**settings)
