import pytest

from pss.errors import InputError
from pss.sampling import place_budgets, read_budgets
from pss.structures import Budget, spread_budgets


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
