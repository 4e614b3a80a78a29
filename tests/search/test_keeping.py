"""What is kept for each budget."""

import numpy as np
import pytest

from pss.search import Finalist, keep
from pss.structures import Budget

from .simulated import Simulated


@pytest.mark.parametrize('seed', range(20))
def test_the_best_that_fits(seed):
    """Oracle: brute force over all finalists. Nothing that is kept costs too
    much, or lies behind what is kept for a lower budget, or behind the cheapest
    finalist; no other one that fits is expected to be better."""
    rng = np.random.default_rng(seed)
    world = Simulated()
    subnets = list(
        dict.fromkeys(world.space.decode(world.space.random(rng, 30))))
    cost = dict(zip(subnets, world.cost(world.space.encode(subnets))))
    finalists = [
        Finalist(s, *rng.normal(0.1 * cost[s] + 80, 1., 2)) for s in subnets
    ]
    accuracy = {f.subnet: f.accuracy for f in finalists}
    expected = {f.subnet: f.expected for f in finalists}
    budgets = [Budget('cost', x, 4.) for x in range(20, 73, 4)]
    budgets += [Budget('cost', 45., 0.1, is_limit=True)]
    kept = keep(
        rng.permutation(budgets).tolist() and budgets, finalists,
        dict(cost=world.cost))
    least = accuracy[min(subnets, key=lambda s: cost[s])]
    for budget in sorted(budgets, key=lambda b: b.high):
        fitting = [
            s for s in subnets if cost[s] < budget.high and accuracy[s] >= least
        ]
        if not fitting:
            assert budget not in kept
            continue
        mine = kept[budget]
        assert mine in fitting
        assert expected[mine] == max(expected[s] for s in fitting)
        least = accuracy[mine]
    assert list(kept) == [b for b in budgets if b in kept]


def test_of_equals_the_cheapest():
    """Oracle: two finalists by hand, in both orders."""
    world = Simulated()
    small, large = world.space.smallest, world.space.largest
    finalists = [Finalist(s, 80., 81.) for s in (large, small)]
    for order in (finalists, finalists[::-1]):
        assert keep([Budget('cost', 100., 1.)], order,
                    dict(cost=world.cost)) == {
                        Budget('cost', 100., 1.): small
                    }
