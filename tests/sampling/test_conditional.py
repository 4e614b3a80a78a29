import numpy as np
import pytest

from pss.errors import InputError
from pss.sampling import ConditionalSampler
from pss.sampling.factor_graph import Tilt, cost_range, main_effects
from pss.structures import Budget, CostTable, SearchSpace, Width, budgets_of

from .enumeration import logarithms_of, prior_of, random_table


def keys_of(space, codes):
    """One integer a code."""
    return np.ravel_multi_index(tuple(codes.T), space.shape)


def p_value_bound(statistic, degrees):
    """How many standard deviations a chi-square lies above its mean."""
    return (statistic - degrees) / np.sqrt(2 * degrees)


@pytest.mark.parametrize('level', [80, 90, 130, 190, 250, 290])
def test_draws_have_the_conditional_distribution(imagenet_flops, level):
    """Oracle: the prior over all 41,184 subnets, restricted to the level.

    Chi-square over groups of subnets that expect at least 50 draws, formed
    after sorting by cost, so that a bias along the cost would show.
    """
    space = imagenet_flops.space
    budget = Budget('flops', level, 10)
    codes = space.enumerate()
    cost = imagenet_flops(codes)
    inside = (cost >= level - 5) & (cost < level + 5)
    members = codes[inside][np.argsort(cost[inside], kind='stable')]
    prior = prior_of(space, members)
    prior /= prior.sum()

    num = 200_000
    drawn = ConditionalSampler(imagenet_flops,
                               [budget]).draw(budget,
                                              np.random.default_rng(level), num)
    assert drawn.shape == (num, 9)
    order = {k: i for i, k in enumerate(keys_of(space, members).tolist())}
    positions = np.array([order[k] for k in keys_of(space, drawn).tolist()])
    counts = np.bincount(positions, minlength=len(members))

    for by in (np.arange(len(members)),
               np.argsort(members[:, 0], kind='stable')):
        groups = (prior[by].cumsum() * num // 50).astype(int)
        expected = np.bincount(groups, prior[by] * num)
        observed = np.bincount(groups, counts[by])
        full = expected > 5
        statistic = ((observed - expected)**2)[full] / expected[full]
        assert p_value_bound(statistic.sum(), full.sum() - 1) < 4


@pytest.mark.parametrize('combine', ['sum', 'max'])
@pytest.mark.parametrize(
    'scopes',
    [
        [(0, 1), (1, 2), (2, 3)],  # a chain, as in MobileNets
        [(0, 1, 3), (1, 2), (0, 2), (3, )],  # cycles and triples
        [(0, 3), ()],  # two widths cost nothing
    ])
def test_costs_of_any_structure(scopes, combine):
    """Oracle: enumeration of small spaces with random, unsmooth costs."""
    rng = np.random.default_rng(len(scopes))
    cost = random_table(rng, [64, 96, 128, 64], scopes, combine=combine)
    codes = cost.space.enumerate()
    values = cost(codes)
    prior = prior_of(cost.space, codes)
    ends = [(values[codes[:, 0] == r].min(), values[codes[:, 0] == r].max())
            for r in range(3)]
    assert np.transpose(cost_range(cost)) == pytest.approx(np.array(ends))
    low, high = np.quantile(values, [0.02, 0.10])
    high = max(high, low + 5)  # maxima repeat
    budget = Budget('x', (low + high) / 2, high - low)
    inside = (values >= budget.low) & (values < budget.high)
    expected = prior * inside / prior[inside].sum() * 100_000
    drawn = ConditionalSampler(cost, [budget]).draw(budget, rng, 100_000)
    counts = np.bincount(keys_of(cost.space, drawn), minlength=len(codes))
    # the order of enumerate() is that of ravel_multi_index
    assert counts[~inside].sum() == 0
    some = expected > 5
    statistic = ((counts - expected)**2)[some] / expected[some]
    assert p_value_bound(statistic.sum(), some.sum() - 1) < 4


def tilt_of(rng, space, scale):
    """Random numbers for every choice at every resolution."""
    resolutions, *choices = space.shape
    return Tilt(
        rng.normal(0., scale, resolutions),
        rng.normal(0., scale, (len(choices), resolutions, max(choices))))


def tilted_prior_of(space, codes, tilt):
    """The weight of codes under the tilted prior, one by one."""
    return prior_of(space, codes) * np.exp(logarithms_of(tilt, codes))


@pytest.mark.parametrize('combine', ['sum', 'max'])
@pytest.mark.parametrize('scale', [0.3, 1.])
@pytest.mark.parametrize('scopes', [
    [(0, 1), (1, 2), (2, 3)],
    [(0, 1, 3), (1, 2), (0, 2), (3, )],
    [(0, 3), ()],
])
def test_tilted_draws(scopes, scale, combine):
    """Oracle: enumeration, as above; the draws are few at a time and many."""
    rng = np.random.default_rng(len(scopes))
    cost = random_table(rng, [64, 96, 128, 64], scopes, combine=combine)
    codes = cost.space.enumerate()
    values = cost(codes)
    low, high = np.quantile(values, [0.02, 0.10])
    high = max(high, low + 5)
    budget = Budget('x', (low + high) / 2, high - low)
    inside = (values >= budget.low) & (values < budget.high)
    sampler = ConditionalSampler(cost, [budget])
    for _ in range(2):  # scores change
        tilt = tilt_of(rng, cost.space, scale)
        prior = tilted_prior_of(cost.space, codes, tilt)
        expected = prior * inside / prior[inside].sum() * 50_000
        draw = sampler.tilted(budget, tilt)
        drawn = np.concatenate([draw(rng, 49_000)] +
                               [draw(rng, 100) for _ in range(10)])
        counts = np.bincount(keys_of(cost.space, drawn), minlength=len(codes))
        assert counts[~inside].sum() == 0
        some = expected > 5
        statistic = ((counts - expected)**2)[some] / expected[some]
        assert p_value_bound(statistic.sum(), some.sum() - 1) < 4
    # without a tilt, those of the prior
    zero = tilt_of(rng, cost.space, 0.)
    assert sampler.tilted(budget, zero)(rng, 7).shape == (7, 5)


@pytest.mark.parametrize('level', [80, 160, 240, 290])
@pytest.mark.parametrize('steepness', [1., 10.])
def test_tilted_draws_of_a_whole_level(imagenet_flops, level, steepness):
    """Oracle: all of the level's subnets of MobileNetV2; better ones are
    likelier, by groups of equal probability in the order of their scores."""
    space = imagenet_flops.space
    budget = Budget('flops', level, 10)
    codes = space.enumerate()
    cost = imagenet_flops(codes)
    members = codes[(cost >= budget.low) & (cost < budget.high)]
    rng = np.random.default_rng(level)
    resolutions, *choices = space.shape
    widths = np.zeros((len(choices), resolutions, max(choices)))
    for row, n in zip(widths, choices):
        row[:, :n] = rng.random((resolutions, 1)) * np.linspace(-0.5, 0.5, n)
    tilt = Tilt(steepness * np.linspace(-0.5, 0.5, resolutions),
                steepness * widths)
    prior = tilted_prior_of(space, members, tilt)
    order = np.argsort(prior, kind='stable')
    members, prior = members[order], prior[order] / prior.sum()
    num = 40_000
    drawn = ConditionalSampler(imagenet_flops, [budget]).tilted(budget,
                                                                tilt)(rng, num)
    places = {k: i for i, k in enumerate(keys_of(space, members).tolist())}
    positions = [places[k] for k in keys_of(space, drawn).tolist()]
    counts = np.bincount(positions, minlength=len(members))
    groups = (prior.cumsum() * num // 50).astype(int)
    expected = np.bincount(groups, prior * num)
    observed = np.bincount(groups, counts)
    full = expected > 5
    statistic = ((observed - expected)**2)[full] / expected[full]
    assert p_value_bound(statistic.sum(), full.sum() - 1) < 4


def test_guessed_rates_that_fail(monkeypatch):
    """Oracle: enumeration where nearly no proposal is kept at first, so that
    the best rates are searched for."""
    rng = np.random.default_rng(0)
    cost = random_table(rng, [64, 96], [(0, 1)])
    codes = cost.space.enumerate()
    values = cost(codes)
    budget = Budget('x', np.median(values), np.ptp(values) / 4)
    sampler = ConditionalSampler(cost, [budget])
    tilt = tilt_of(rng, cost.space, 0.5)
    monkeypatch.setattr('pss.sampling.conditional._Level._guess_places',
                        lambda self, tilt: np.zeros(3, int))
    monkeypatch.setattr('pss.sampling.conditional.PATIENCE_FOR_MANY', 1)
    drawn = sampler.tilted(budget, tilt)(rng, 20_000)
    inside = (values >= budget.low) & (values < budget.high)
    prior = tilted_prior_of(cost.space, codes, tilt) * inside
    expected = prior / prior.sum() * len(drawn)
    counts = np.bincount(keys_of(cost.space, drawn), minlength=len(codes))
    assert counts[~inside].sum() == 0
    some = expected > 5
    statistic = ((counts - expected)**2)[some] / expected[some]
    assert p_value_bound(statistic.sum(), some.sum() - 1) < 4


def test_mean_effects():
    """Oracle: means over all subnets, weighted by the prior."""
    rng = np.random.default_rng(0)
    cost = random_table(rng, [64, 96, 128, 64], [(0, 1, 3), (1, 2), (3, ), ()])
    codes = cost.space.enumerate()
    weights = prior_of(cost.space, codes)
    means, effects = main_effects(cost)
    for r, mean in enumerate(means):
        mine = codes[:, 0] == r
        assert mean == pytest.approx(
            np.average(cost(codes[mine]), weights=weights[mine]))
        for width, effect in enumerate(effects):
            for choice, value in enumerate(effect[r]):
                some = mine & (codes[:, 1 + width] == choice)
                assert mean + value == pytest.approx(
                    np.average(cost(codes[some]), weights=weights[some]))


@pytest.mark.parametrize('level', [10, 1000])
def test_unreachable_levels(imagenet_flops, level):
    """Oracle: the published smallest and largest cost in the message."""
    with pytest.raises(InputError) as error:
        ConditionalSampler(imagenet_flops, budgets_of('flops', level, level,
                                                      10))
    message = str(error.value)
    assert f'level={level}' in message
    assert '69.1502' in message and '300.837' in message


def test_a_gap_in_the_costs_is_unreachable_too():
    """Oracle: a space whose costs are 0 and 1,000 only."""
    space = SearchSpace([Width.of(32)], [1])
    cost = CostTable(space, ((0, ), ), (np.array([[0, 1000]]), ))
    with pytest.raises(InputError, match='level=500'):
        ConditionalSampler(cost, [Budget('x', 500, 100)])
    sampler = ConditionalSampler(cost, [Budget('x', 1000, 1)])
    drawn = sampler.draw(Budget('x', 1000, 1), np.random.default_rng(0), 5)
    assert drawn.tolist() == [[0, 1]] * 5


def test_one_subnet_in_a_level(imagenet_flops):
    """Oracle: the only subnet within 1e-6 MFLOPs of the largest."""
    budget = Budget('flops', 300.836992, 2e-6)
    drawn = ConditionalSampler(imagenet_flops,
                               [budget]).draw(budget, np.random.default_rng(0),
                                              3)
    space = imagenet_flops.space
    assert space.decode(drawn) == [space.largest] * 3


@pytest.fixture(scope='module')
def mbv1_flops():
    """The cost table of MobileNetV1's ImageNet space, 4e15 subnets."""
    from pss.apis import init_model
    from pss.resources import flops_table

    from ..paths import ROOT
    return flops_table(init_model(ROOT / 'configs' / 'pss_mbv1_imagenet.py'))


@pytest.mark.parametrize('level', [250, 330])
def test_large_spaces_against_rejection_sampling(mbv1_flops, level):
    """Oracle: draws from the prior, of which those inside the level are kept.
    Two-sample chi-square of the resolution, of every width, and of pairs of
    resolution and width."""
    space = mbv1_flops.space
    rng = np.random.default_rng(level)
    prior = space.random(rng, 1_500_000)
    cost = mbv1_flops(prior)
    kept = prior[(cost >= level - 5) & (cost < level + 5)]
    assert len(kept) > 10_000
    budget = Budget('flops', level, 10)
    drawn = ConditionalSampler(mbv1_flops, [budget]).draw(budget, rng, 100_000)
    for column in range(15):
        keys = [
            codes[:, 0] * 100 + (codes[:, column] if column else 0)
            for codes in (kept, drawn)
        ]
        size = max(k.max() for k in keys) + 1
        a, b = (np.bincount(k, minlength=size) for k in keys)
        some = (a + b) > 20
        a, b = a[some], b[some]
        scale = np.sqrt(len(drawn) / len(kept))
        statistic = ((a * scale - b / scale)**2 / (a + b)).sum()
        assert p_value_bound(statistic, some.sum() - 1) < 4


def test_every_published_level_of_mobilenet_v1(mbv1_flops):
    """Oracle: 45 pools from 120 to 560 MFLOPs, each draw inside its level;
    published smallest and largest."""
    budgets = budgets_of('flops', 120, 560, 10)
    assert len(budgets) == 45
    sampler = ConditionalSampler(mbv1_flops, budgets)
    for budget in budgets:
        cost = mbv1_flops(sampler.draw(budget, np.random.default_rng(0), 500))
        assert ((cost >= budget.low) & (cost < budget.high)).all()
    low, high = cost_range(mbv1_flops)
    assert (low.min(), high.max()) == pytest.approx((106.78272, 568.790528))


def test_a_reduced_mobilenet_v1_against_exact_counting():
    """Oracle: chi-square against the enumeration of a space of 14 widths with
    one to four choices each and two resolutions."""
    from pss.models import SupernetClassifier
    from pss.resources import flops_table

    from ..building import classifier_config
    config = classifier_config(
        type='pss.SlimmableMobileNetV1',
        search_space=dict(
            multipliers=(0.9, 1.0), divisor=32, resolutions=[96, 128]))
    config['head']['in_channels'] = 1024
    config.pop('type')
    cost = flops_table(SupernetClassifier(**config))
    assert 10_000 < cost.space.size < 2e6
    codes = cost.space.enumerate()
    values = cost(codes)
    prior = prior_of(cost.space, codes)
    budget = Budget('flops', float(np.quantile(values, 0.3)), 4.)
    inside = (values >= budget.low) & (values < budget.high)
    order = np.argsort(values[inside], kind='stable')
    members, weight = codes[inside][order], prior[inside][order]
    drawn = ConditionalSampler(cost, [budget]).draw(budget,
                                                    np.random.default_rng(0),
                                                    100_000)
    place = {k: i for i, k in enumerate(keys_of(cost.space, members).tolist())}
    found = [place[k] for k in keys_of(cost.space, drawn).tolist()]
    counts = np.bincount(found, minlength=len(members))
    groups = (weight.cumsum() / weight.sum() * 500).astype(int)
    expected = np.bincount(groups, weight) / weight.sum() * len(drawn)
    observed = np.bincount(groups, counts)
    some = expected > 5
    statistic = ((observed - expected)**2)[some] / expected[some]
    assert p_value_bound(statistic.sum(), some.sum() - 1) < 4


def test_levels_can_be_added(imagenet_flops):
    """Oracle: the draws of a sampler that had all its levels from the
    beginning; what cannot be reached changes nothing."""
    budgets = [
        Budget('flops', 150., 10.),
        Budget('flops', 150., 10., is_limit=True)
    ]
    whole = ConditionalSampler(imagenet_flops, budgets)
    grown = ConditionalSampler(imagenet_flops)
    for budget in budgets:
        grown.add(budget)
    with pytest.raises(InputError, match="level=60 of 'flops'"):
        grown.add(Budget('flops', 60., 5., is_limit=True))
    for budget in budgets:
        one, two = (
            sampler.draw(budget, np.random.default_rng(0), 100)
            for sampler in (whole, grown))
        assert np.array_equal(one, two)


@pytest.mark.parametrize('combine', ['sum', 'max'])
def test_limits_are_never_exceeded(combine):
    """Oracle: enumeration: every subnet that costs more than ``level - step``
    and at most ``level`` is drawn, and no other. The level is itself a cost,
    and so is the other end."""
    rng = np.random.default_rng(3)
    cost = random_table(rng, [64, 96], [(0, 1), (1, )], combine=combine)
    values = np.unique(cost(cost.space.enumerate()))
    level, low = values[len(values) // 2], values[len(values) // 4]
    budget = Budget('x', level, level - low, is_limit=True)
    drawn = cost(ConditionalSampler(cost, [budget]).draw(budget, rng, 20_000))
    wanted = values[(values > low) & (values <= level)]
    assert np.unique(drawn).tolist() == wanted.tolist()
    assert level in drawn and low not in drawn
