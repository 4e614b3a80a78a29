import numpy as np
import pytest

from pss.sampling import SubnetPool, exponential_decay
from pss.structures import Budget, Subnet

BUDGET = Budget('flops', 80., 10.)


def subnet(i):
    return Subnet(128, (i, ))


def test_worked_example():
    """Oracle: worked by hand: three places, momentum 0.9."""
    pool = SubnetPool(BUDGET, capacity=3, momentum=0.9)
    assert pool.update(subnet(1), -2.0) is None
    assert pool.update(subnet(2), -3.0) is None
    assert not pool.is_full
    # known: 0.9 * -2 + 0.1 * -1 = -1.9
    assert pool.update(subnet(1), -1.0) is None
    assert pool.scores[subnet(1)] == pytest.approx(-1.9)
    assert pool.update(subnet(3), -2.5) is None
    assert pool.is_full
    # a fourth: the worst, subnet 2 with -3, leaves
    assert pool.update(subnet(4), -2.7) == subnet(2)
    # a bad one leaves at once
    assert pool.update(subnet(5), -9.0) == subnet(5)
    assert [s for s, _ in pool.best(2)] == [subnet(1), subnet(3)]
    # softmax(score / t) at t = 0.5: exp(-3.8), exp(-5), exp(-5.4)
    weights = np.exp([-3.8, -5.0, -5.4])
    assert pool.probabilities(0.5) == pytest.approx(weights / weights.sum())


def test_identical_subnets_are_one_entry():
    """Oracle: two equal subnets built from different multipliers."""
    pool = SubnetPool(BUDGET)
    pool.update(Subnet(128, (24, )), -1.)
    pool.update(Subnet(128, (24, )), -2.)
    assert len(pool) == 1
    assert pool.scores == {Subnet(128, (24, )): pytest.approx(-1.1)}


def test_draw_follows_the_probabilities():
    """Oracle: chi-square against softmax(score / t)."""
    pool = SubnetPool(BUDGET)
    for i, score in enumerate([-1., -1.2, -1.5, -2.]):
        pool.update(subnet(i), score)
    rng = np.random.default_rng(0)
    drawn = [pool.draw(rng, 0.5) for _ in range(20_000)]
    counts = np.array([drawn.count(subnet(i)) for i in range(4)])
    expected = pool.probabilities(0.5) * 20_000
    chi_square = ((counts - expected)**2 / expected).sum()
    assert chi_square < 16.3  # 99.9 % quantile, 3 degrees of freedom


def test_low_temperatures_do_not_overflow():
    """Oracle: at t -> 0 only the best is drawn."""
    pool = SubnetPool(BUDGET)
    pool.update(subnet(1), -800.)
    pool.update(subnet(2), -1.)
    assert pool.probabilities(1e-6) == pytest.approx([0, 1])


@pytest.mark.parametrize('score', [float('nan'), float('inf')])
def test_a_score_that_is_no_number_changes_nothing(score):
    """Oracle: the pool is unchanged."""
    pool = SubnetPool(BUDGET)
    pool.update(subnet(1), -1.)
    with pytest.raises(ValueError, match='not finite'):
        pool.update(subnet(1), score)
    assert pool.scores == {subnet(1): -1.}


def test_schedule():
    """Oracle: SPEC's p = 1.0 * 0.01 ** (e / E), by hand at three epochs."""
    values = [exponential_decay(e / 250, 1., 0.01) for e in (0, 125, 250)]
    assert values == pytest.approx([1, 0.1, 0.01])


def test_newcomers():
    """Oracle: the set of subnets at the last report, kept by hand; a subnet
    that left and came back counts as new."""
    rng = np.random.default_rng(0)
    pool, since = SubnetPool(BUDGET, capacity=5), set()
    for i in range(400):
        one, score = subnet(int(rng.integers(12))), -float(rng.random())
        if one not in pool.scores:
            since.add(one)
        left = pool.update(one, score)
        since.discard(left)
        assert pool.newcomers == len(since) <= len(pool)
        if i % 7 == 0:
            # what a checkpoint holds is enough to go on
            again = SubnetPool(BUDGET, capacity=5)
            again.load(pool.scores, pool.newcomers)
            pool = again
        if i % 20 == 0:
            pool.settle()
            since = set()


def test_entropy():
    """Oracle: log 4 for equal scores; the sum written out; 0 at t -> 0."""
    pool = SubnetPool(BUDGET)
    assert pool.entropy(1.) == 0
    for i in range(4):
        pool.update(subnet(i), -1.)
    assert pool.entropy(0.01) == pytest.approx(np.log(4))
    pool.update(subnet(4), -0.5)
    p = pool.probabilities(0.3)
    assert pool.entropy(0.3) == pytest.approx(-sum(p * np.log(p)))
    assert pool.entropy(1e-6) == pytest.approx(0, abs=1e-12)


def test_spread():
    """Oracle: places 0, 3 and 6 of seven by score; all, if there are fewer."""
    pool = SubnetPool(BUDGET)
    assert pool.evenly_ranked(3) == []
    for i in (3, 0, 6, 2, 5, 1, 4):
        pool.update(subnet(i), -float(i))
    assert [s.widths[0] for s, _ in pool.evenly_ranked(3)] == [0, 3, 6]
    assert [s.widths[0] for s, _ in pool.evenly_ranked(2)] == [0, 6]
    assert [s.widths[0] for s, _ in pool.evenly_ranked(50)] == list(range(7))
