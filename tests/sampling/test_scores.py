import numpy as np
import pytest

from pss.errors import InputError
from pss.sampling import AdditiveScore, PrioritizedSampler
from pss.structures import budgets_of

from .enumeration import prior_of


def build(flops, score=None, **kwargs):
    return PrioritizedSampler(
        flops.space, {'flops': flops},
        budgets_of('flops', 100, 200, 50),
        score=AdditiveScore() if score is None else score,
        **dict(dict(pool_size=5), **kwargs))


def train(sampler, start, stop, seed=0):
    """Simulates iterations: wide early layers are bad, later ones good."""
    space = sampler.space
    worth = np.linspace(-0.02, 0.04, 1 + len(space.widths))
    for i in range(start, stop):
        passes, pool = sampler.plan(seed, i, i / 400)
        rng = np.random.default_rng([seed, i, 1])
        subnet = passes[1].subnet
        code = space.encode([subnet])[0]
        batch = rng.normal(1., 0.3)
        sampler.observe(
            pool, passes[1],
            dict(
                largest=batch + rng.normal(0., 0.02),
                sampled=1.1 * batch - worth @ code + rng.normal(0., 0.02),
                smallest=1.2 * batch + rng.normal(0., 0.02)))


def test_draws_are_by_the_score(imagenet_flops):
    """Oracle: chi-square against the whole level of MobileNetV2: the prior
    times exp(score / (t * spread of scores)), after some training."""
    sampler = build(imagenet_flops)
    train(sampler, 0, 300)
    pool, space, t = sampler.pools[1], imagenet_flops.space, 0.7
    codes = space.enumerate()
    cost = imagenet_flops(codes)
    members = codes[(cost >= pool.budget.low) & (cost < pool.budget.high)]
    scores = sampler.score.score(pool.budget, space.decode(members))
    prior = prior_of(space, members)
    prior /= prior.sum()
    mean = prior @ scores
    spread = np.sqrt(prior @ (scores - mean)**2)
    chance = prior * np.exp((scores - mean) / (t * spread))
    order = np.argsort(chance, kind='stable')
    chance = chance[order] / chance.sum()
    rng = np.random.default_rng(0)
    num = 1500
    drawn = [sampler.score.draw(pool, rng, t) for _ in range(num)]
    places = {s: i for i, s in enumerate(space.decode(members[order]))}
    groups = (chance.cumsum() * 20).astype(int).clip(max=19)
    expected = np.bincount(groups, chance * num)
    observed = np.bincount(groups[[places[s] for s in drawn]], minlength=20)
    statistic = ((observed - expected)**2 / expected).sum()
    # the spread is that of 500 draws: 3 % off
    assert (statistic - 19) / np.sqrt(2 * 19) < 5
    # and draws are better than those of the prior
    found = sampler.score.score(pool.budget, drawn)
    assert found.mean() > mean + spread


def test_pools_hold_the_best(imagenet_flops):
    """Oracle: all trained subnets of a level; a pool's members have the scores
    of the model as it is, and were never the worst of six."""
    sampler = build(imagenet_flops, p=dict(ratio=1.))
    trained = {pool.budget: [] for pool in sampler.pools}
    for i in range(200):
        _, pool = sampler.plan(0, i, i / 400)
        before = set(pool.scores)
        train(sampler, i, i + 1)
        trained[pool.budget] += [s for s in pool.scores if s not in before]
        members = list(pool.scores)
        now = sampler.score.score(pool.budget, members)
        assert list(pool.scores.values()) == pytest.approx(now.tolist())
    for pool in sampler.pools:
        assert len(pool) == 5 and set(pool.scores) <= {*trained[pool.budget]}
        drawn = sampler.fresh(pool.budget, np.random.default_rng(0), 100)
        others = sampler.score.score(pool.budget, drawn)
        assert min(pool.scores.values()) > np.median(others)


def test_nothing_known_yet(imagenet_flops):
    """Oracle: SPEC: levels without an observation are drawn from the space."""
    sampler = build(imagenet_flops, p=dict(start=1e-9))
    seen = set()
    for i in range(60):
        passes, pool = sampler.plan(3, i, 0.)
        cost = imagenet_flops(imagenet_flops.space.encode([passes[1].subnet
                                                           ]))[0]
        assert pool.budget.low <= cost < pool.budget.high
        assert sampler.score.is_ready(pool) == (pool.budget in seen)
        train(sampler, i, i + 1, seed=3)
        seen.add(pool.budget)


def test_going_on(imagenet_flops):
    """Oracle: the training that was not interrupted, bit by bit."""
    sampler, other = build(imagenet_flops), build(imagenet_flops)
    train(sampler, 0, 150)
    other.load_state_dict(sampler.state_dict())
    train(sampler, 150, 300)
    train(other, 150, 300)
    assert other.state_dict() == sampler.state_dict()
    sampler.reset()
    assert sampler.state_dict() == build(imagenet_flops).state_dict()


@pytest.mark.parametrize('change', [
    dict(products=None),
    dict(products=[1.]),
    dict(means=[['x']]),
    dict(fit=[float('nan')] * 40),
    dict(weight=-1.),
    dict(weight=[1., 2.]),
    dict(forgotten=[1., 0.]),
    dict(forgotten=[-1., -2.]),
    dict(observations=[-1, 0, 0]),
    dict(observations=[1.5, 1, 1]),
])
def test_damaged_states(imagenet_flops, change):
    """Oracle: the message names the pool; nothing has changed then."""
    sampler, other = build(imagenet_flops), build(imagenet_flops)
    train(sampler, 0, 50)
    train(other, 0, 20)
    state, before = sampler.state_dict(), other.state_dict()
    state[2]['learnt'].update(change)
    with pytest.raises(
            InputError, match='pool flops 200: learnt: expected sums'):
        other.load_state_dict(state)
    assert other.state_dict() == before


def test_pools_of_the_other_score(imagenet_flops):
    """Oracle: the message; an additive score's pools are the paper's too."""
    paper = PrioritizedSampler(imagenet_flops.space, {'flops': imagenet_flops},
                               budgets_of('flops', 100, 200, 50))
    train(paper, 0, 30)
    with pytest.raises(InputError, match='nothing that pss.AdditiveScore'):
        build(imagenet_flops).load_state_dict(paper.state_dict())
    sampler = build(imagenet_flops)
    train(sampler, 0, 30)
    paper.load_state_dict(sampler.state_dict())
    assert paper.pools[0].scores == sampler.pools[0].scores


@pytest.mark.parametrize('field, value', [
    ('memory', 0.),
    ('memory', 1.5),
    ('ridge', 0.),
    ('pooling', 0.),
    ('pooling', float('nan')),
])
def test_bad_values(field, value):
    """Oracle: the message names the field and the value."""
    with pytest.raises(InputError, match=f'score.{field}={value}'):
        AdditiveScore(**{field: value})
