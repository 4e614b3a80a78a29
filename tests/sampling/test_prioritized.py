from dataclasses import replace

import numpy as np
import pytest

from pss.errors import InputError
from pss.sampling import Pass, PrioritizedSampler
from pss.structures import budgets_of


def build(flops, **kwargs):
    return PrioritizedSampler(flops.space, {'flops': flops},
                              budgets_of('flops', 100, 200, 50),
                              **dict(dict(pool_size=3), **kwargs))


def fill(sampler, flops, progress=0.):
    """Simulates training until all pools are full."""
    for i in range(200):
        passes, pool = sampler.plan(0, i, progress)
        pool.update(passes[1].subnet, -1. - i / 1000)
    assert all(pool.is_full for pool in sampler.pools)


def test_plan_is_a_sandwich_for_a_pool(imagenet_flops):
    """Oracle: SPEC: largest, one of the pool's level, smallest."""
    sampler = build(imagenet_flops)
    space = imagenet_flops.space
    for i in range(100):
        passes, pool = sampler.plan(0, i, 0.)
        assert [p.name for p in passes] == ['largest', 'sampled', 'smallest']
        assert passes[0].subnet == space.largest
        assert passes[2].subnet == space.smallest
        cost = imagenet_flops(space.encode([passes[1].subnet]))[0]
        assert pool.budget.low <= cost < pool.budget.high


def test_pools_are_chosen_uniformly(imagenet_flops):
    """Oracle: chi-square over 3,000 plans."""
    sampler = build(imagenet_flops)
    chosen = [sampler.plan(1, i, 0.)[1].budget.level for i in range(3000)]
    counts = np.array([chosen.count(level) for level in (100, 150, 200)])
    assert ((counts - 1000)**2 / 1000).sum() < 13.8  # 99.9 %, 2 degrees


def test_pools_that_are_not_full_get_new_subnets(imagenet_flops):
    """Oracle: at the end p = 1e-6: a full pool's own subnets; before it is
    full, new ones of the space."""
    sampler = build(imagenet_flops, p=dict(ratio=1e-6))
    pool = sampler.pools[0]
    for pool in sampler.pools:
        assert not pool.is_full
    fresh = [sampler.plan(0, i, 1.) for i in range(50)]
    assert len({passes[1].subnet for passes, _ in fresh}) > 20
    fill(sampler, imagenet_flops)
    for i in range(50):
        passes, pool = sampler.plan(0, 1000 + i, 1.)
        assert passes[1].subnet in pool.scores


def test_share_of_draws_from_the_pool_follows_p(imagenet_flops):
    """Oracle: binomial with 1 - p = 0.9 at half of the training."""
    sampler = build(imagenet_flops)
    fill(sampler, imagenet_flops)
    assert sampler.p(0.5) == pytest.approx(0.1)
    own = 0
    for i in range(1000):
        passes, pool = sampler.plan(0, 5000 + i, 0.5)
        own += passes[1].subnet in pool.scores
    assert abs(own - 900) < 4 * np.sqrt(1000 * 0.9 * 0.1)


def test_draws_repeat(imagenet_flops):
    """Oracle: another sampler with the same pools, seed and iterations."""
    one, two = build(imagenet_flops), build(imagenet_flops)
    fill(one, imagenet_flops)
    two.load_state_dict(one.state_dict())
    for pool, twin in zip(one.pools, two.pools):
        assert list(pool.scores.items()) == list(twin.scores.items())
    for i in range(300, 400):
        assert one.plan(7, i, 0.6)[0] == two.plan(7, i, 0.6)[0]
    assert any(
        one.plan(7, i, 0.6)[0] != one.plan(8, i, 0.6)[0]
        for i in range(300, 320))


def test_state_of_other_levels_is_refused(imagenet_flops):
    """Oracle: both lists of levels in the message."""
    sampler = build(imagenet_flops)
    fill(sampler, imagenet_flops)
    before = sampler.state_dict()
    state = sampler.state_dict()
    state[0]['level'] = 90.
    with pytest.raises(InputError, match='90, 150, 200.*100, 150, 200'):
        sampler.load_state_dict(state)
    state = sampler.state_dict()
    state[1]['subnets'][0]['resolution'] = 7
    with pytest.raises(InputError, match='resolution=7'):
        sampler.load_state_dict(state)
    for field, value, words in (('score', float('nan'), 'score=nan'),
                                ('widths', None, 'widths=None'), ('more', 1,
                                                                  "'more'")):
        state = sampler.state_dict()
        state[0]['subnets'][0][field] = value
        with pytest.raises(InputError, match=words):
            sampler.load_state_dict(state)
    for state in ([3], [{}], None):
        with pytest.raises(InputError, match='damaged'):
            sampler.load_state_dict(state)
    assert sampler.state_dict() == before


@pytest.mark.parametrize('kwargs, words', [
    (dict(pool_size=0), 'pool_size=0'),
    (dict(score_momentum=1), 'score_momentum=1'),
    (dict(p=dict(begin=1)), "p: .*'begin'"),
    (dict(t=dict(start=0)), 't.start=0'),
    (dict(p=None), 'p=None'),
    (dict(p=dict(start=1.5)), 'p.start=1.5.*at most 1'),
    (dict(p=dict(ratio=2)), 'p.ratio=2.*at most 1'),
    (dict(p=dict(ratio=True)), 'p.ratio=True'),
    (dict(t=dict(start=float('nan'))), 't.start=nan'),
    (dict(t=dict(ratio=1e-300)), 't.ratio=1e-300'),
    (dict(score_momentum='0.9'), "score_momentum='0.9'"),
    (dict(score_momentum=float('nan')), 'momentum=nan'),
    (dict(pool_size=2.5), 'pool_size=2.5'),
    (dict(p=dict(ratio=float('inf'))), 'p.ratio=inf'),
    (dict(need=1.5), 'need=1.5'),
    (dict(shrink_from=1), 'shrink_from=1'),
    (dict(need='1'), "need='1'"),
    (dict(best_of=0), 'best_of=0'),
])
def test_bad_arguments(imagenet_flops, kwargs, words):
    """Oracle: field and value in the message."""
    with pytest.raises(InputError, match=words):
        build(imagenet_flops, **kwargs)


def test_levels_in_need(imagenet_flops):
    """Oracle: by hand: the best of the second level is below that of the first,
    the third's above both; half the iterations are for levels in need, of which
    there is one, and the others for any."""
    sampler = build(imagenet_flops, need=0.5)
    assert not sampler.needs().any()
    drawn = {
        pool.budget.level: sampler.fresh(pool.budget, np.random.default_rng(0))
        for pool in sampler.pools
    }
    for pool, score in zip(sampler.pools, (-1., -1.4, -0.8)):
        pool.update(drawn[pool.budget.level][0], score)
    assert sampler.needs() == pytest.approx([0., 0.4, 0.])
    chosen = [sampler.plan(1, i, 0.)[1].budget.level for i in range(3000)]
    counts = np.array([chosen.count(level) for level in (100, 150, 200)])
    expected = np.array([500, 2000, 500])
    assert ((counts - expected)**2 / expected).sum() < 13.8


def test_need_of_several_resources(imagenet_flops):
    """Oracle: by hand: levels are compared within their resource; with a score
    of the smallest subnet, the first level too."""
    budgets = budgets_of('flops', 100, 150, 50)
    others = [replace(budget, resource='other') for budget in budgets]
    sampler = PrioritizedSampler(
        imagenet_flops.space, dict(flops=imagenet_flops, other=imagenet_flops),
        others + budgets)
    for pool, score in zip(sampler.pools, (-3., -2., -1., -1.5)):
        subnet = sampler.fresh(pool.budget, np.random.default_rng(0))[0]
        pool.update(subnet, score)
    assert sampler.needs() == pytest.approx([0., 0., 0., 0.5])
    sampler.score.of_smallest = -1.2
    assert sampler.needs() == pytest.approx([1.8, 0.8, 0., 0.5])


def test_shrinking_later(imagenet_flops):
    """Oracle: the definition: the largest alone for a quarter of the training;
    from there on the plans of a training without that first quarter."""
    sampler = build(imagenet_flops, shrink_from=0.25)
    plain = build(imagenet_flops)
    for i in range(10):
        passes, pool = sampler.plan(0, i, 0.2499)
        assert pool is None
        assert passes == (Pass('largest', imagenet_flops.space.largest), )
        ours = sampler.plan(0, i, 0.25 + 0.75 * i / 10)
        theirs = plain.plan(0, i, i / 10)
        assert ours[0] == theirs[0]
        assert ours[1].budget == theirs[1].budget
    assert (sampler.p(0.1), sampler.t(0.1)) == (1., 1.)
    assert sampler.p(0.625) == pytest.approx(0.1)


def test_candidates_of_a_pass(imagenet_flops):
    """Oracle: SPEC: three of the level, without repeats, from the whole space
    and from the pool; the paper's plan has none."""
    plain, sampler = build(imagenet_flops), build(
        imagenet_flops, best_of=3, p=dict(ratio=1e-6))
    assert plain.plan(0, 0, 0.)[0][1].candidates == ()
    fill(sampler, imagenet_flops)
    for progress in (0., 1.):
        for i in range(50):
            (largest, sampled, smallest), pool = sampler.plan(0, i, progress)
            assert largest.candidates == smallest.candidates == ()
            subnets = sampled.candidates
            assert sampled.subnet == subnets[0]
            assert len(set(subnets)) == len(subnets) <= 3
            costs = imagenet_flops(imagenet_flops.space.encode(subnets))
            assert ((pool.budget.low <= costs) &
                    (costs < pool.budget.high)).all()
            assert len(subnets) > 1 or progress  # hardly ever drawn twice
            if progress:
                assert {*subnets} <= {*pool.scores}
