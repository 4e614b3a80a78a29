"""What is kept for each budget: nothing that a cheaper subnet beats."""

from typing import Dict, List, NamedTuple, Sequence

import numpy as np

from ..structures import Budget, CostTable, Subnet


class Finalist(NamedTuple):
    """A subnet that was measured on all held-out images.

    Attributes:
        subnet: the subnet.
        expected: what it is expected to reach, in percent.
        accuracy: what it reached, in percent.
    """
    subnet: Subnet
    expected: float
    accuracy: float


def keep(budgets: Sequence[Budget], finalists: Sequence[Finalist],
         costs: Dict[str, CostTable]) -> Dict[Budget, Subnet]:
    """The best finalist that fits each budget.

    Of all finalists that cost less than the upper end of the budget, also those
    found for others, the one of the highest expected accuracy is kept, unless
    the cheapest finalist, usually the smallest subnet, or what is kept for a
    lower budget of the resource reached more: then the best of those that
    reached as much. So from the smallest subnet on, neither the expected nor
    the measured accuracy of what is kept ever falls with rising budgets. Of
    equals the cheapest is kept.

    Args:
        budgets: the budgets of all resources.
        finalists: the subnets to choose from.
        costs: what subnets cost in each resource.

    Returns:
        The kept subnet of each budget that any finalist fits.
    """
    kept: Dict[Budget, Subnet] = {}
    subnets = [f.subnet for f in finalists]
    for resource in dict.fromkeys(b.resource for b in budgets):
        table = costs[resource]
        cost = table(table.space.encode(subnets))
        order = np.argsort(cost, kind='stable')
        # that the kept one of the budget below reached
        least = finalists[order[0]].accuracy if finalists else -np.inf
        for budget in sorted((b for b in budgets if b.resource == resource),
                             key=lambda b: b.high):
            fitting: List[Finalist] = [
                finalists[i] for i in order
                if cost[i] < budget.high and finalists[i].accuracy >= least
            ]
            if fitting:
                best = max(fitting, key=lambda f: f.expected)
                kept[budget], least = best.subnet, best.accuracy
    return {b: kept[b] for b in budgets if b in kept}
