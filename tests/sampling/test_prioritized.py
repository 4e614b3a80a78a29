import numpy as np
import pytest

from pss.errors import InputError
from pss.sampling import PrioritizedSampler
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
])
def test_bad_arguments(imagenet_flops, kwargs, words):
    """Oracle: field and value in the message."""
    with pytest.raises(InputError, match=words):
        build(imagenet_flops, **kwargs)
