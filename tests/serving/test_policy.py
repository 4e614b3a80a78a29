"""The policy, on drawn cases."""

import math
from functools import lru_cache

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


def most_in_time(grid, deadlines, level):
    """By the fastest subnet, oldest first; by trying all batches and all
    refusals."""
    row = grid.latencies_ms[grid.fastest]

    @lru_cache(None)
    def best(first, now):
        if first == len(deadlines):
            return 0
        found = [best(first + 1, now)]
        for size in range(1, min(grid.largest, len(deadlines) - first) + 1):
            end = round(now + row[size] * level, 6)
            if end <= deadlines[first]:
                found.append(size + best(first + size, end))
        return max(found)

    return best(0, 0.)


@pytest.mark.parametrize('seed', range(60))
def test_none_is_served_later_than_refused(seed):
    """Oracle: the deadlines: what the expected latency would make late is
    refused at once, and others only if not all can be in time; what runs is in
    time."""
    rng = np.random.default_rng(seed)
    grid = grids(seed)
    policy = SlackPolicy(grid, SLO)
    for _ in range(20):
        deadlines, pace = queues(rng), paces(rng)
        late, subnet, size = policy.choose(0., deadlines, pace)
        least = grid.latencies_ms[grid.fastest][1] * pace.level
        hopeless = sum(deadline < least for deadline in deadlines)
        assert late >= hopeless
        if late > hopeless:
            # one of the others is late however batches are cut
            assert most_in_time(grid, deadlines[hopeless:],
                                pace.level) < len(deadlines) - hopeless
        assert (size > 0) == (late < len(deadlines))
        if size:
            assert grid.latencies_ms[subnet][size] * pace.level <= \
                deadlines[late] + 1e-9


@pytest.mark.parametrize('seed', range(60))
def test_monotone_in_slack(seed):
    """Oracle: with later deadlines and everything else the same, the subnet is
    at least as accurate."""
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
    accurate subnet that is in time, where all come with as much time left."""
    grid = grids(seed)
    policy = SlackPolicy(grid, SLO)
    for slack in (30., 10., 5.):
        fitting = [
            accuracy
            for accuracy, row in zip(grid.accuracies, grid.latencies_ms)
            if row[1] <= slack
        ]
        choice = policy.choose(0., [slack], Pace(slack=slack))
        if fitting:
            assert grid.accuracies[choice.subnet] == max(fitting)
        else:
            assert choice == (1, grid.fastest, 0)


def test_when_behind():
    """Oracle: the most that all batches and refusals give; and, batches that
    the oldest image shrinks, which take the time of the others."""
    rng = np.random.default_rng(0)
    row = [0.5 + 0.5 * size for size in range(9)]
    grid = LatencyGrid([1, 2, 4, 8], [[row[b] for b in (1, 2, 4, 8)]], [80.])
    policy = SlackPolicy(grid, SLO)
    reached, shrunk, best = 0, 0, 0
    for _ in range(40):
        deadlines = np.sort(rng.uniform(1, 12, 24)).tolist()
        best += most_in_time(grid, deadlines, 1.)
        now, queue = 0., deadlines
        while queue:
            late, _, size = policy.choose(now, queue, Pace())
            queue = queue[late:]
            now += row[size] if size else 0
            assert not size or now <= queue[0] + 1e-9
            reached += size
            queue = queue[size:]
        now, queue = 0., deadlines
        while queue:
            sizes = [
                size for size in range(1, 9)
                if size <= len(queue) and now + row[size] <= queue[0]
            ]
            now += row[sizes[-1]] if sizes else 0
            shrunk += sizes[-1] if sizes else 0
            queue = queue[sizes[-1] if sizes else 1:]
    assert shrunk < 0.8 * best and 0.93 * best < reached <= best


@pytest.mark.parametrize('load', [0.4, 0.6, 0.8])
@pytest.mark.parametrize('middle', [0.05, 0.3, 0.7, 0.9])
def test_neighbours_take_turns(load, middle):
    """Oracle: the best mix of three subnets for steady traffic, by trying all
    shares. The middle one has that share of the accuracy between the others."""
    times = [2., 5., 10.]
    accuracies = np.array([70., 70 + 10 * middle, 80.])
    grid = LatencyGrid([1], [[t] for t in times], accuracies.tolist())
    policy = SlackPolicy(grid, 5 * times[-1])
    every = times[-1] * (1 - load) + times[0] * load  # ms between images
    queue, now, coming, ran = [], 0., 0, []
    while len(ran) < 600:
        if not queue:
            now = max(now, coming * every)
        while coming * every <= now:
            queue.append(coming * every + policy.slo_ms)
            coming += 1
        choice = policy.choose(now, queue, Pace(rate=1 / every))
        assert choice.late == 0 and choice.size == 1
        now += times[choice.subnet]
        assert now <= queue.pop(0)
        ran.append(accuracies[choice.subnet])
    shares = [(a, b, 1 - a - b) for a in np.linspace(0, 1, 101)
              for b in np.linspace(0, 1 - a, 101)]
    best = max(accuracies @ share for share in shares
               if np.dot(times, share) <= every + 1e-9)
    mean = np.mean(ran[100:])
    assert 70 + 0.93 * (best - 70) <= mean <= best + 0.2


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


@pytest.mark.parametrize('seed', range(60))
def test_batches_end_with_requests(seed):
    """Oracle: by definition: what waits behind a batch is of another request,
    except where one alone is more than a batch may have."""
    rng = np.random.default_rng(seed)
    grid = grids(seed)
    policy = SlackPolicy(grid, SLO)
    for _ in range(20):
        counts = rng.integers(1, 12, rng.integers(1, 8))
        deadlines = np.repeat(
            np.sort(rng.uniform(0, SLO, len(counts))), counts).tolist()
        late, subnet, size = policy.choose(0., deadlines, paces(rng))
        ends = [0, *np.cumsum(counts)]
        assert late in ends
        if late + size not in ends:
            least = counts[ends.index(late)]
            assert size < least
            most = SLO * (1 if subnet == grid.fastest else policy.LONGEST)
            assert least > grid.largest or \
                grid.latencies_ms[subnet][least] > most


def test_more_whole_requests():
    """Oracle: by hand: six requests of eight images take 6 x 6.75 ms in whole;
    batches of seven would take 6 x 6 ms and 5.3 for what is left."""
    grid = LatencyGrid([1, 7, 8], [[2., 6., 6.75]], [80.])
    slo = 40.9
    assert grid.useful_sizes(0, slo) == (1, 2, 3, 4, 5, 6, 7)
    policy = SlackPolicy(grid, slo)
    now, queue = 0., np.repeat(np.linspace(40.6, slo, 6), 8).tolist()
    assert policy.wait_ms(0., 0., queue[:40], Pace(), 8) is None
    assert policy.wait_ms(0., 0., queue, Pace(), 8) > 0
    while queue:
        assert policy.choose(now, queue, Pace()) == (0, 0, 8)
        now, queue = now + 6.75, queue[8:]


def test_what_waits_tightly_keeps_nothing_out():
    """Oracle: by hand: the waiting images are in time as expected, though not
    with a reserve of a fifth; the new one is in time with that."""
    policy = SlackPolicy(LatencyGrid([1], [[10.]], [80.]), SLO)
    pace = Pace(1., 0.2)
    assert policy.wait_ms(0., 0., [10.5, 20.5], pace) is None
    assert policy.wait_ms(0., 0., [10.5, 20.5, 30.5, 40.5], pace) > 0


def test_time_between_batches():
    """Oracle: by hand: five batches of 10 ms fit 50 ms, and with 2.5 ms between
    them four do."""
    policy = SlackPolicy(LatencyGrid([1], [[10.]], [80.]), SLO)
    for gap, fitting in ((0., 5), (2.5, 4)):
        waits = [
            policy.wait_ms(0., 0., n * [SLO], Pace(gap=gap)) is None
            for n in range(6)
        ]
        assert waits == [n < fitting for n in range(6)]


def test_bad_objective():
    """Oracle: the field and its value are in the message."""
    with pytest.raises(InputError, match='slo_ms=0: expected'):
        SlackPolicy(grids(0), 0)
