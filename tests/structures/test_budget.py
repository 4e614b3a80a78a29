import math

import pytest

from pss.errors import InputError
from pss.structures import Budget, budgets_of, level_name, spread_budgets


def test_published_levels():
    """Oracle: 22 pools between 70 and 300 MFLOPs, as published."""
    budgets = budgets_of('flops', 80, 290, 10)
    assert len(budgets) == 22
    assert [b.level for b in budgets] == list(range(80, 291, 10))
    assert (budgets[0].low, budgets[0].high) == (75, 85)


def test_levels_are_clean_decimals():
    """Oracle: 0.1 + 0.1 + 0.1, which is not 0.3 in binary."""
    assert [b.level for b in budgets_of('flops', 0.1, 0.3, 0.1)] == \
        [0.1, 0.2, 0.3]


def test_each_cost_has_one_level():
    """Oracle: rounding to the nearest level."""
    budgets = budgets_of('flops', 5.5, 20.5, 1.5)
    for i in range(1000):
        cost = 4.76 + i * 0.0164
        hit = [b for b in budgets if b.low <= cost < b.high]
        assert len(hit) == 1
        assert min(budgets, key=lambda b: abs(b.level - cost)) == hit[0]


@pytest.mark.parametrize('start, stop, step, word', [
    (80, 290, 0, 'step=0'),
    (80, 290, -10, 'step=-10'),
    (290, 80, 10, 'empty'),
    (80, 295, 10, 'whole number'),
    (float('nan'), 290, 10, 'start=nan'),
    (80, float('inf'), 10, 'stop=inf'),
    ('80', 290, 10, "start='80'"),
    (True, 290, 10, 'start=True'),
    (10**400, 290, 10, 'start='),
    (0, 1, 1e-300, 'at most 10000'),
    (-1e308, 1e308, 1, 'at most 10000'),
    (0, 1e-9, 1e-10, 'nine decimals'),
])
def test_bad_ranges(start, stop, step, word):
    """Oracle: the wrong value in the message."""
    with pytest.raises(InputError, match=word):
        budgets_of('flops', start, stop, step)


@pytest.mark.parametrize('cheapest, dearest, pools', [(11691.7, 28434.3, 15),
                                                      (8.703, 20.326, 11),
                                                      (0.3, 0.31, 7),
                                                      (1., 1e9, 3),
                                                      (5000., 5400., 1),
                                                      (3.4375, 10.527, 100)])
def test_spread_over_the_reachable_costs(cheapest, dearest, pools):
    """Oracle: the requested number of levels, inside the range and evenly
    spaced, with at most a step and a half left over at either end."""
    budgets = spread_budgets('x', cheapest, dearest, pools)
    assert len(budgets) == pools
    step = budgets[0].step
    levels = [b.level for b in budgets]
    assert levels == pytest.approx([levels[0] + i * step for i in range(pools)])
    assert cheapest < levels[0] and levels[-1] < dearest
    assert step <= (dearest - cheapest) / (pools + 1) * (1 + 1e-9)
    assert step >= 0.9 * (dearest - cheapest) / (pools + 1)


def test_spread_gives_the_published_levels():
    """Oracle: SPEC: 12,000 to 28,000 in steps of 1,000, 15 pools; the ends are
    the published table's."""
    budgets = spread_budgets('cpu', 11691.7, 28434.3, 15)
    assert [b.level for b in budgets] == list(range(13000, 28000, 1000))


def test_too_many_for_the_range():
    """Oracle: the field in the message."""
    with pytest.raises(InputError, match='budgets.x.pools=3'):
        spread_budgets('x', 5., 5., 3)


def test_levels_below_nine_decimals():
    """Oracle: the field in the message; rounded they would be one."""
    with pytest.raises(InputError, match='budgets.x.pools=3.*nine decimals'):
        spread_budgets('x', 1e-10, 3e-10, 3)


@pytest.mark.parametrize('level, name', [(80, 'x 80'), (80., 'x 80'),
                                         (9.5, 'x 9.5'), (0.3, 'x 0.3'),
                                         (28000., 'x 28000'),
                                         (1234567, 'x 1234567'),
                                         (1234567., 'x 1234567'),
                                         (100.00001, 'x 100.00001'),
                                         (100.00002, 'x 100.00002'),
                                         (1e-5, 'x 1e-05'), (1e22, 'x 1e+22')])
def test_names_give_the_level_back(level, name):
    """Oracle: the names by hand, and the number that is read from them. The
    third to the last share their first six digits with others."""
    assert level_name('x', level) == str(Budget('x', level, 1.)) == name
    assert float(name.split()[1]) == level


def test_no_two_levels_share_a_name():
    """Oracle: as many names as levels, where six digits are not enough."""
    budgets = budgets_of('latency', 123456.1, 123456.9, 0.1)
    assert len(set(map(str, budgets))) == len(budgets) == 9


@pytest.mark.parametrize('level, step', [(95., 5.), (0.1, 0.3), (12000, 1000),
                                         (20.3, 1e-9), (1e-5, 1e-6)])
def test_a_limit_is_the_most_that_may_be_spent(level, step):
    """Oracle: ``(level - step, level]``, whose ends are checked to the last
    bit."""
    budget = Budget('x', level, step, is_limit=True)

    def belongs(cost):
        return budget.low <= cost < budget.high

    assert belongs(level) and not belongs(math.nextafter(level, math.inf))
    low = level - step
    assert not belongs(low) and belongs(math.nextafter(low, math.inf))
    assert belongs((low + level) / 2)
    assert str(budget) == level_name('x', level)
    assert budget != Budget('x', level, step)


def test_limits_in_steps_share_no_cost():
    """Oracle: every cost between the ends is in exactly one of the levels, also
    those that are levels themselves."""
    limits = [Budget('x', level, 10., True) for level in (80, 90, 100)]
    for cost in (70.001, 75, 80, 80.001, 85, 90, 95, 100):
        inside = [b.level for b in limits if b.low <= cost < b.high]
        assert inside == [10 * math.ceil(cost / 10)]


def test_a_range_of_another_field():
    """Oracle: the field in the message."""
    with pytest.raises(InputError, match=r'^a\.b\.stop=None: expected'):
        budgets_of('flops', 1, None, 1, 'a.b')
    with pytest.raises(InputError, match=r'^budgets\.flops\.stop=None'):
        budgets_of('flops', 1, None, 1)
