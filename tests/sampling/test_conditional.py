import numpy as np
import pytest

from pss.errors import InputError
from pss.sampling import ConditionalSampler
from pss.sampling.tilted_prior import TiltedPrior, cost_range
from pss.structures import Budget, CostTable, SearchSpace, Width, budgets_of


def prior_of(space, codes):
    """Probability of each code under the space's prior."""
    return np.prod([p[c] for p, c in zip(space.priors, codes.T)], axis=0)


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
    after sorting by cost, so that a slant along the cost would show.
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
    drawn = ConditionalSampler(imagenet_flops, [budget]).draw(
        budget, np.random.default_rng(level), num)
    assert drawn.shape == (num, 9)
    order = {k: i for i, k in enumerate(keys_of(space, members).tolist())}
    positions = np.array([order[k] for k in keys_of(space, drawn).tolist()])
    counts = np.bincount(positions, minlength=len(members))

    for by in (np.arange(len(members)), np.argsort(members[:, 0],
                                                   kind='stable')):
        groups = (prior[by].cumsum() * num // 50).astype(int)
        expected = np.bincount(groups, prior[by] * num)
        observed = np.bincount(groups, counts[by])
        full = expected > 5
        statistic = ((observed - expected) ** 2)[full] / expected[full]
        assert p_value_bound(statistic.sum(), full.sum() - 1) < 4


def test_normaliser_equals_the_sum_over_all_subnets(imagenet_flops):
    """Oracle: the tilted prior summed over the enumerated space."""
    space = imagenet_flops.space
    rates = np.linspace(-0.3, 0.3, len(space.resolutions))
    codes = space.enumerate()
    weights = prior_of(space, codes) * len(space.resolutions) * np.exp(
        -rates[codes[:, 0]] * imagenet_flops(codes))
    sums = np.bincount(codes[:, 0], weights)
    assert TiltedPrior(imagenet_flops, rates).log_normaliser == pytest.approx(
        np.log(sums), rel=1e-12)


def test_cost_range_equals_enumeration(imagenet_flops):
    """Oracle: smallest and largest of the enumerated costs."""
    codes = imagenet_flops.space.enumerate()
    cost = imagenet_flops(codes)
    low, high = cost_range(imagenet_flops)
    for r in range(len(low)):
        mine = cost[codes[:, 0] == r]
        assert (low[r], high[r]) == pytest.approx((mine.min(), mine.max()))


def random_table(rng, widths, scopes, resolutions=(1, 2, 3)):
    """Costs without any structure but the scopes."""
    space = SearchSpace([Width.of(base) for base in widths],
                        list(resolutions))
    tables = tuple(
        rng.integers(0, 1000, (len(resolutions), *(space.shape[1 + w]
                                                   for w in scope)))
        for scope in scopes)
    return CostTable(space, tuple(scopes), tables, scale=10)


@pytest.mark.parametrize('scopes', [
    [(0, 1), (1, 2), (2, 3)],             # a chain, as in MobileNets
    [(0, 1, 3), (1, 2), (0, 2), (3, )],   # cycles and triples
    [(0, 3), ()],                         # two widths cost nothing
])
def test_costs_of_any_structure(scopes):
    """Oracle: enumeration of small spaces with random, unsmooth costs."""
    rng = np.random.default_rng(len(scopes))
    cost = random_table(rng, [64, 96, 128, 64], scopes)
    codes = cost.space.enumerate()
    values = cost(codes)
    prior = prior_of(cost.space, codes)
    low, high = np.quantile(values, [0.02, 0.10])
    budget = Budget('x', (low + high) / 2, high - low)
    inside = (values >= budget.low) & (values < budget.high)
    expected = prior * inside / prior[inside].sum() * 100_000
    drawn = ConditionalSampler(cost, [budget]).draw(budget, rng, 100_000)
    counts = np.bincount(keys_of(cost.space, drawn), minlength=len(codes))
    # the order of enumerate() is that of ravel_multi_index
    assert counts[~inside].sum() == 0
    some = expected > 5
    statistic = ((counts - expected) ** 2)[some] / expected[some]
    assert p_value_bound(statistic.sum(), some.sum() - 1) < 4


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
    drawn = ConditionalSampler(imagenet_flops, [budget]).draw(
        budget, np.random.default_rng(0), 3)
    space = imagenet_flops.space
    assert space.decode(drawn) == [space.largest] * 3
