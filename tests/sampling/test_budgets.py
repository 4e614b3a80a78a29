import numpy as np
import pytest

from pss.errors import InputError
from pss.sampling import (
    ConditionalSampler,
    parse_limits,
    place_budgets,
    place_limits,
    read_budgets,
    read_limits,
)
from pss.structures import Budget, CostTable, SearchSpace, Width, spread_budgets


@pytest.mark.parametrize('cfg, words', [
    ({}, 'budgets'),
    (None, 'budgets=None'),
    (dict(flop=dict(start=1, stop=2, step=1)), "'flop'.*'flops'"),
    (dict(flops=dict(start=1, stop=2)), "'step' is missing"),
    (dict(flops=dict(start=1, stop=2, steps=1, step=1)), "'steps'.*'step'"),
    (dict(flops=dict(start=1, stop=2, step=0)), 'step=0'),
    (dict(flops=dict(start=3, stop=2, step=1)), 'empty'),
    (dict(flops=3), 'budgets.flops=3'),
    (dict(flops=dict(pools=0)), 'pools=0'),
    (dict(flops=dict(pools=2, step=1)), 'takes no step'),
    (dict(flops=dict(pools=10**9)), 'pools=1000000000'),
])
def test_bad_budgets(cfg, words):
    """Oracle: field and value in the message."""
    with pytest.raises(InputError, match=words):
        read_budgets(cfg, ['flops'])


def test_levels_and_pools(imagenet_flops):
    """Oracle: the budgets by hand; pools lie over the enumerated costs."""
    read = read_budgets(
        dict(flops=dict(start=80, stop=100, step=10), again=dict(pools=5)),
        ['flops', 'again'])
    assert read['again'] == 5
    placed = place_budgets(read, dict(flops=None, again=imagenet_flops))
    assert placed['flops'] == [Budget('flops', b, 10.) for b in (80, 90, 100)]
    cost = imagenet_flops(imagenet_flops.space.enumerate())
    assert placed['again'] == spread_budgets('again', cost.min(), cost.max(), 5)


def test_limits_on_a_command_line():
    """Oracle: what the words say, by hand; and the budgets that they make."""
    cfg = parse_limits(['flops=120,95.5', 'latency=12000:14000:1000'])
    assert cfg == dict(
        flops=[120., 95.5], latency=dict(start=12000., stop=14000., step=1000.))
    limits = read_limits(cfg, ['flops', 'latency', 'other'], 'x')
    assert limits == [
        Budget('flops', 95.5, 0., True),
        Budget('flops', 120., 0., True), *(Budget('latency', level, 1000., True)
                                           for level in (12000, 13000, 14000))
    ]
    assert parse_limits(['a=7']) == dict(a=[7.])
    assert parse_limits(['a=-1e3,2']) == dict(a=[-1000., 2.])


@pytest.mark.parametrize('word', [
    'flops=', 'flops', '=5', '=', '', 'flops=1:2', 'flops=1:2:3:4', 'flops=:',
    'flops=a', 'flops=1,', 'flops=1,,2', 'flops=1:2,3', 'flops==5', 'flops=5x',
    '\x1b[31m'
])
def test_bad_words(word):
    """Oracle: the option, the word and its two forms in the message."""
    with pytest.raises(InputError) as error:
        parse_limits(['flops=3', word])
    message = str(error.value)
    assert message.startswith('--budgets ')
    assert 'NAME=LEVEL,LEVEL,... or NAME=START:STOP:STEP' in message
    assert repr(word)[1:-1].encode() in message.encode() or '\\x1b' in message


def test_a_resource_twice():
    """Oracle: the resource in the message; one of the two would be lost."""
    with pytest.raises(InputError, match='--budgets: flops appears twice'):
        parse_limits(['flops=3', 'a=1', 'flops=5'])


@pytest.mark.parametrize('cfg, words', [
    (None, 'x=None: expected at least one resource'),
    ({}, r'x=\{\}: expected at least one resource'),
    ([], r'x=\[\]: expected'),
    (3, 'x=3: expected'),
    (dict(flop=[3]), "x: unknown key 'flop'.*did you mean 'flops'"),
    (dict(flops=None), 'x.flops=None: expected a list'),
    (dict(flops=3), 'x.flops=3: expected a list'),
    (dict(flops='3'), "x.flops='3': expected a list"),
    (dict(flops=[]), r'x.flops=\[\]: expected a list of 1 to 10000'),
    (dict(flops=[1] * 10001), 'x.flops=.*expected a list of 1 to 10000'),
    (dict(flops=[5, float('nan')]), r'x.flops\[1\]=nan: expected'),
    (dict(flops=[float('inf')]), r'x.flops\[0\]=inf: expected'),
    (dict(flops=[10**400]), r'x.flops\[0\]=.*: expected'),
    (dict(flops=[5, -5]), r'x.flops\[1\]=-5: expected .* above 0'),
    (dict(flops=[0]), r'x.flops\[0\]=0: expected'),
    (dict(flops=['5']), r"x.flops\[0\]='5': expected"),
    (dict(flops=[True]), r'x.flops\[0\]=True: expected'),
    (dict(flops=[5, 6, 5.]), 'x.flops=.*expected different levels'),
    (dict(flops={}), 'x.flops.start=None: expected'),
    (dict(flops=dict(start=1, stop=3)), 'x.flops.step=None: expected'),
    (dict(flops=dict(start=1, stop=3, step=0)), 'x.flops.step=0: expected'),
    (dict(flops=dict(start=3, stop=1, step=1)), 'x.flops: .*is empty'),
    (dict(flops=dict(start=1, stop=3, step=1, pools=2)),
     "x.flops: unknown key 'pools'"),
    (dict(flops=dict(start=1, stop=2, step=1e-9)), 'x.flops: .*at most 10000'),
])
def test_bad_limits(cfg, words):
    """Oracle: field and value in the message, and what was expected."""
    with pytest.raises(InputError, match=f'^{words}'):
        read_limits(cfg, ['flops', 'latency'], 'x')


def test_where_limits_lie(imagenet_flops):
    """Oracle: a twentieth of the published range from 69.150208 to 300.836992;
    a range keeps its own step. From each a subnet can be drawn, whether the
    limit is the cheapest cost or above the dearest."""
    costs = dict(flops=imagenet_flops)
    listed = read_limits(
        dict(flops=[69.150208, 70, 150, 300.836992, 312]), costs, 'x')
    placed = place_limits(listed, costs, 'x')
    assert [b.level for b in placed] == [b.level for b in listed]
    assert all(b.is_limit for b in placed)
    for budget in placed:
        assert budget.step == pytest.approx((300.836992 - 69.150208) / 20)
    ranged = place_limits(
        read_limits(dict(flops=dict(start=80, stop=300, step=110)), costs, 'x'),
        costs, 'x')
    assert ranged == [Budget('flops', b, 110., True) for b in (80, 190, 300)]
    sampler = ConditionalSampler(imagenet_flops, placed)
    for budget in placed:
        cost = imagenet_flops(
            sampler.draw(budget, np.random.default_rng(0), 20))
        assert (cost <= budget.level).all()


@pytest.mark.parametrize('level', [0.5, 69.15, 313, 1e9])
def test_limits_out_of_reach(imagenet_flops, level):
    """Oracle: the field, the level and the published ends in the message."""
    costs = dict(flops=imagenet_flops)
    limits = read_limits(dict(flops=[150, level]), costs, 'x')
    with pytest.raises(InputError) as error:
        place_limits(limits, costs, 'x')
    assert str(error.value) == f'x: {Budget("flops", level, 1)}: expected a ' \
        'level that subnets reach; they cost 69.1502 to 300.837'


def test_limits_where_all_cost_the_same():
    """Oracle: the only cost, 7, is in the level."""
    space = SearchSpace([Width.of(32)], [1])
    cost = CostTable(space, ((0, ), ), (np.array([[7, 7]]), ))
    for level in (7, 9):
        budget, = place_limits([Budget('x', level, 0., True)], dict(x=cost),
                               'x')
        assert budget.low <= 7 < budget.high and budget.level == level
    with pytest.raises(InputError, match='7 to 7'):
        place_limits([Budget('x', 14, 0., True)], dict(x=cost), 'x')
