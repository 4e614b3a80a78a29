"""The queue under traffic, without noise."""

import numpy as np
import pytest

from pss.serving import LatencyGrid, Scheduler

from .test_policy import SLO, grids


def answer(scheduler, times, counts, slower=1.):
    """Answers requests that arrive at some times; returns by image when it
    arrived and when it was answered, refused or found late."""
    grid = scheduler.grid
    coming, now = 0, 0.
    ends = {}

    def arrive(until):
        nonlocal coming
        while coming < len(times) and times[coming] <= until:
            items = [(coming, times[coming], k) for k in range(counts[coming])]
            wait = scheduler.arrive(times[coming], items)
            assert wait is None or wait >= 1
            if wait is not None:
                ends.update(dict.fromkeys(items, 'refused'))
            coming += 1

    while coming < len(times) or len(scheduler):
        if not len(scheduler):
            now = max(now, times[coming])
        arrive(now)
        batch = scheduler.next(now)
        if batch is None:
            continue
        ends.update(dict.fromkeys(batch.late, 'late'))
        if not batch.items:
            continue
        took = grid.latencies_ms[batch.subnet][len(batch.items)] * slower
        arrive(now + took)
        now += took
        scheduler.ended(now, batch, took)
        ends.update(dict.fromkeys(batch.items, now))
    return ends


@pytest.mark.parametrize('seed', range(40))
def test_every_admitted_image_is_in_time(seed):
    """Oracle: latencies as expected, so whatever arrives, each image is refused
    when it arrives or answered within the objective; none is lost."""
    rng = np.random.default_rng(seed)
    grid = grids(seed)
    scheduler = Scheduler(grid, SLO)
    scheduler.slowness.spread = 0.
    gap = grid.latencies_ms[grid.fastest][1] * rng.uniform(0.3, 3)
    times = np.cumsum(rng.exponential(gap, 300)).tolist()
    counts = rng.choice([1, 1, 1, 2, 5], 300).tolist()
    ends = answer(scheduler, times, counts)
    assert len(ends) == sum(counts)
    assert 'late' not in ends.values()
    for (_, arrived, _), end in ends.items():
        assert end == 'refused' or end <= arrived + SLO + 1e-6


@pytest.mark.parametrize('slower', [0.7, 1.8])
def test_a_device_of_another_speed(slower):
    """Oracle: after the first batches the scheduler expects what batches take,
    so nearly all that it admits are in time."""
    grid = grids(3)
    scheduler = Scheduler(grid, SLO)
    gap = grid.latencies_ms[grid.fastest][1] * 2 * slower
    times = np.cumsum(np.random.default_rng(0).exponential(gap, 500)).tolist()
    ends = answer(scheduler, times, [1] * 500, slower)
    late = sum(end == 'late' or end != 'refused' and end > arrived + SLO
               for (_, arrived, _), end in ends.items())
    assert scheduler.slowness.level == pytest.approx(slower, rel=0.01)
    assert late < 10


def test_images_that_come_with_less_time_left():
    """Oracle: by hand: the largest subnet takes longer than the images have
    left when they come, so the middle one answers, which is otherwise no
    better than the others by turns."""
    grid = LatencyGrid([1], [[1.], [15.], [20.]], [60., 65., 80.])
    found = []
    for age in (0., 12., 40.):
        scheduler = Scheduler(grid, 30.)
        for now in range(0, 4000, 100):
            assert scheduler.arrive(now, [now], now - age) is None or age > 29
            batch = scheduler.next(now)
            subnet = batch and batch.subnet
            if batch:
                scheduler.ended(now + 1, batch, batch.expected_ms)
        found.append(subnet)
    assert found == [2, 1, None]


def test_time_between_batches():
    """Oracle: by hand: 3 ms from one batch's end to the next one's beginning,
    while images wait; what passes while none does, does not count."""
    scheduler = Scheduler(LatencyGrid([1], [[10.]], [80.]), 90.)
    now = 0.
    for _ in range(5):
        for item in range(4):
            assert scheduler.arrive(now, [item]) is None
        while scheduler:
            batch = scheduler.next(now)
            scheduler.ended(now + 10, batch, 10.)
            now += 13
        now += 500
    assert scheduler.pace(now).gap == 3


@pytest.mark.parametrize('count', [1, 3])
def test_a_slow_time_does_not_last(count):
    """Oracle: the device, fifty times slower for the first five seconds, and
    then as measured: while it is slow, a request is admitted now and then and
    is late, all others are refused and told to come again; afterwards all are
    in time. Requests that could never be answered are told so."""
    grid = LatencyGrid([1, 2, 4], [[5., 8., 15.], [9., 16., 30.]], [70., 75.])
    scheduler = Scheduler(grid, 100.)
    late, found = 0, []
    for now in np.arange(0., 20e3, 250.):
        wait = scheduler.arrive(now, count * [now])
        assert wait is None or 1 <= wait <= 2e3
        assert scheduler.arrive(now, 200 * [now]) == np.inf
        found.append(wait)
        while len(scheduler):
            batch = scheduler.next(now)
            assert not batch.late
            took = batch.expected_ms * (50 if now < 5e3 else 1)
            scheduler.ended(now + took, batch, took)
            late += took > 100 and now >= 5e3
    assert not late
    assert 2 < sum(wait is None for wait in found[:20]) < 15
    last = max(i for i, wait in enumerate(found) if wait is not None)
    assert 250 * last <= 5e3 + 2e3


def test_what_answers_take_besides_does_not_last():
    """Oracle: by hand: requests that come with too little time left are
    refused, but for one a second, whose answer shows what it takes now."""
    scheduler = Scheduler(LatencyGrid([1], [[40.]], [70.]), 50.)
    found = []
    for now in np.arange(0., 5e3, 100.):
        found.append(scheduler.arrive(now, [now], now - 20))
        batch = scheduler.next(now)
        if batch is not None:
            assert not batch.late
            scheduler.ended(now + 40, batch, 40.)
    assert [i for i, wait in enumerate(found)
            if wait is None] == [10, 21, 32, 43]


def test_first_come_first_served():
    """Oracle: the order of arrival; earlier ones that were told later go
    first."""
    scheduler = Scheduler(grids(0), SLO)
    assert scheduler.next(0.) is None and len(scheduler) == 0
    scheduler.arrive(5., ['b'], arrived=2.)
    scheduler.arrive(5., ['c'], arrived=4.)
    scheduler.arrive(5., ['a'], arrived=1.)
    found = []
    while len(scheduler):
        found += scheduler.next(5.).items
    assert found == ['a', 'b', 'c']


def test_what_is_late_makes_it_cautious():
    """Oracle: by hand: an image that its batch answers after its deadline, one
    that was refused, and one that is in time."""
    scheduler = Scheduler(grids(0), SLO)
    assert scheduler.caution.margin == 0
    scheduler.arrive(0., ['a'])
    scheduler.ended(2 * SLO, scheduler.next(0.), 2 * SLO)
    late = scheduler.caution.margin
    assert late == scheduler.caution.STEP
    now = 10 * SLO
    scheduler.arrive(now, ['b'])
    scheduler.ended(now + 0.1, scheduler.next(now), 0.1)
    assert 0 < scheduler.caution.margin < late
    before = scheduler.caution.margin
    assert scheduler.arrive(now, 1000 * ['c']) is not None
    assert scheduler.caution.margin > before


@pytest.mark.parametrize('gap, room', [(100., 0.), (40., 0.), (29., 0.0225),
                                       (25., 0.307), (10., 0.7)])
def test_margins(gap, room):
    """Oracle: by hand: the fastest subnet answers an image in 20 ms, so it is
    busy for 20 / gap of the time, and caution counts as much; the objective is
    500 ms. Chance adds ln 3000 times half of 20 ms, times that share over what
    it leaves: a third of the objective is for that, and as much of it as is
    left, but at most 0.7."""
    grid = LatencyGrid([1], [[20.], [45.]], [70., 80.])
    scheduler = Scheduler(grid, 500.)
    for i in range(300):
        scheduler.arrivals.observe(i * gap)
    busy = min(20 / gap, 1)
    assert scheduler.pace(299 * gap).margin == pytest.approx(room, 0.02, 0.002)
    scheduler.caution.margin = 0.7
    assert scheduler.pace(299 * gap).margin == pytest.approx(0.7 * busy, 0.01)


def test_moments_of_slow_batches_count_under_any_traffic():
    """Oracle: by hand: nothing is late, but where three of each twenty batches
    take twice as long, plans end earlier however little arrives; where none
    does, they do not."""
    margins = []
    for slow in (1, 2):
        scheduler = Scheduler(LatencyGrid([1], [[20.]], [70.]), 100.)
        for i in range(100):
            now = 500. * i
            assert scheduler.arrive(now, ['a']) is None
            took = 20. * (slow if i % 20 < 3 else 1)
            scheduler.ended(now + took, scheduler.next(now), took)
        assert scheduler.caution.margin == 0
        margins.append(scheduler.pace(5e4).margin)
    # three of the five batches of an objective, less what noise is foreseen
    assert margins[0] == 0 and 0.3 < margins[1] <= 0.4
