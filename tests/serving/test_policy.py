"""The policy, on drawn cases."""

import math

import numpy as np
import pytest

from pss.errors import InputError
from pss.serving import LatencyGrid, SlackPolicy
from pss.serving.policy import Pace

SLO = 50.


def grids(seed):
    """A grid of one to six subnets, with much or little gain from batches."""
    rng = np.random.default_rng(seed)
    num = rng.integers(1, 7)
    single = np.sort(rng.uniform(1, 25, num))
    fixed = rng.choice([0, 0.2, 0.8])
    rows = [[s * (fixed + (1 - fixed) * b) for b in (1, 2, 4, 8)]
            for s in single]
    return LatencyGrid([1, 2, 4, 8], rows, np.sort(rng.uniform(70, 90, num)))


def queues(rng, longest=20):
    """Deadlines of waiting images, at time 0."""
    return np.sort(rng.uniform(0, SLO, rng.integers(1, longest))).tolist()


def paces(rng):
    return Pace(
        float(rng.choice([1, 1, rng.uniform(0.8, 3)])),
        float(rng.choice([0, 0.1])), float(rng.choice([0, rng.uniform(0, 1)])))


@pytest.mark.parametrize('seed', range(60))
def test_none_is_served_later_than_refused(seed):
    """Oracle: the deadlines: what the expected latency would make late is
    refused at once, and nothing else is; what runs is in time."""
    rng = np.random.default_rng(seed)
    grid = grids(seed)
    policy = SlackPolicy(grid, SLO)
    for _ in range(20):
        deadlines, pace = queues(rng), paces(rng)
        late, subnet, size = policy.choose(0., deadlines, pace)
        least = grid.latencies_ms[grid.fastest][1] * pace.level
        assert late == sum(deadline < least for deadline in deadlines)
        assert (size > 0) == (late < len(deadlines))
        if size:
            assert grid.latencies_ms[subnet][size] * pace.level <= \
                deadlines[late] + 1e-9


@pytest.mark.parametrize('seed', range(60))
def test_monotone_in_slack(seed):
    """Oracle: with later deadlines and everything else the same, the subnet is
    at least as accurate, and no more are late."""
    rng = np.random.default_rng(seed)
    grid = grids(seed)
    policy = SlackPolicy(grid, SLO)
    for _ in range(10):
        # one that is late would change which is the oldest
        single = grid.latencies_ms[grid.fastest][1]
        deadlines = (np.array(queues(rng)) + single).tolist()
        pace = Pace(1., 0., rng.uniform(0, 0.5))
        accuracies = []
        for more in (0., 2., 5., 10., 20., 40.):
            choice = policy.choose(0., [d + more for d in deadlines], pace)
            assert choice.late == 0
            accuracies.append(grid.accuracies[choice.subnet])
        assert accuracies == sorted(accuracies)


@pytest.mark.parametrize('seed', range(30))
def test_monotone_in_load(seed):
    """Oracle: when less arrives, and when batches are faster, the subnet is at
    least as accurate for a single waiting image."""
    grid = grids(seed)
    policy = SlackPolicy(grid, SLO)
    for pace in ([Pace(1., 0., 2**-k)
                  for k in range(8)], [Pace(2**(1 - k / 2)) for k in range(6)]):
        found = [
            grid.accuracies[policy.choose(0., [SLO], one).subnet]
            for one in pace
        ]
        assert found == sorted(found)


@pytest.mark.parametrize('seed', range(30))
def test_alone_without_traffic(seed):
    """Oracle: by definition: one image that nothing follows gets the most
    accurate subnet that is in time."""
    grid = grids(seed)
    policy = SlackPolicy(grid, SLO)
    for slack in (30., 10., 5.):
        fitting = [
            accuracy
            for accuracy, row in zip(grid.accuracies, grid.latencies_ms)
            if row[1] <= slack
        ]
        choice = policy.choose(0., [slack], Pace())
        if fitting:
            assert grid.accuracies[choice.subnet] == max(fitting)
        else:
            assert choice == (1, grid.fastest, 0)


@pytest.mark.parametrize('seed', range(60))
def test_when_to_come_again(seed):
    """Oracle: the answer itself: a refused request is admitted after that time
    if the admitted ones have been answered by the fastest subnet until then,
    and hardly sooner; and a shorter queue never refuses what a longer one
    admits."""
    rng = np.random.default_rng(seed)
    grid = grids(seed)
    policy = SlackPolicy(grid, SLO)
    pace = Pace()
    deadlines = []
    while True:
        wait = policy.wait_ms(0., 0., deadlines, pace)
        if wait is not None:
            break
        deadlines.append(SLO)
    assert 0 < wait < math.inf and deadlines
    late, _, size = policy.choose(0., deadlines, Pace(1., 0., 9.))
    assert late == 0 and size > 0
    assert policy.wait_ms(wait, wait, [], pace) is None
    for shorter in range(len(deadlines) - 1):
        assert policy.wait_ms(0., 0., deadlines[:shorter], pace) is None
    count = int(rng.integers(1, 500))
    both = policy.wait_ms(0., 0., [], pace, count)
    assert (both is None) == (count <= len(deadlines))
    assert both is None or both == math.inf


def test_bad_objective():
    """Oracle: the field and its value are in the message."""
    with pytest.raises(InputError, match='slo_ms=0: expected'):
        SlackPolicy(grids(0), 0)
