import numpy as np
import pytest

from pss.errors import InputError
from pss.serving import ArrivalRate, Caution, Slowness
from pss.serving.estimates import Hindsight, Overhead, backlog_ms
from pss.serving.policy import Pace


def test_slowness_and_its_noise():
    """Oracle: the distribution that the latencies are drawn from: a level of
    1.7 and noise of 6 %."""
    rng = np.random.default_rng(0)
    slowness = Slowness()
    assert slowness.level == 1
    for expected in rng.uniform(1, 20, 500):
        slowness.observe(expected, expected * 1.7 * rng.lognormal(0, 0.06))
    assert slowness.level == pytest.approx(1.7, rel=0.1)
    assert slowness.noise == pytest.approx(0.06, rel=0.4)


def test_spikes_move_nothing():
    """Oracle: no noise: the level stays 1 whatever single batches take."""
    slowness = Slowness()
    for i in range(100):
        slowness.observe(10., 80. if i % 10 == 3 else 10.)
        assert slowness.level == 1
    assert slowness.noise < 0.01


def test_a_lasting_change_is_followed():
    """Oracle: the majority of the last seven batches."""
    slowness = Slowness()
    for _ in range(50):
        slowness.observe(10., 10.)
    levels = []
    for _ in range(7):
        slowness.observe(10., 20.)
        levels.append(slowness.level)
    assert levels[2] == pytest.approx(1) and levels[3] == pytest.approx(2)


def test_a_steady_rate():
    """Oracle: the rate that arrivals are drawn with; by all of them, its
    standard error is 6 %."""
    rng = np.random.default_rng(0)
    found = []
    arrivals, now = ArrivalRate(), 0.
    assert arrivals.rate(0.) == 0
    for _ in range(3000):
        now += rng.exponential(1 / 0.3)
        arrivals.observe(now)
        found.append(arrivals.rate(now))
    assert np.mean(found[500:]) == pytest.approx(0.3, rel=0.1)
    assert np.std(found[500:]) < 0.3 * 0.25


@pytest.mark.parametrize('before, after', [(0.1, 0.6), (0.6, 0.1)])
def test_a_change_is_noticed(before, after):
    """Oracle: the new rate, within a factor of two after 40 arrivals with it;
    all 512 together would be near the old one."""
    rng = np.random.default_rng(1)
    arrivals, now = ArrivalRate(), 0.
    for rate, number in ((before, 500), (after, 40)):
        for _ in range(number):
            now += rng.exponential(1 / rate)
            arrivals.observe(now)
    assert 0.5 < arrivals.rate(now) / after < 2


def test_silence_lowers_the_rate():
    """Oracle: no arrivals any more, hence a rate towards 0."""
    arrivals = ArrivalRate()
    for i in range(100):
        arrivals.observe(float(i))
    assert arrivals.rate(99.) == pytest.approx(1, rel=0.1)
    assert arrivals.rate(400.) < 0.05


def test_images_of_one_request():
    """Oracle: the images and their time: 5 each 10 ms; those of one request
    come at the same moment, which is no rate."""
    arrivals = ArrivalRate()
    for i in range(100):
        if i < 4:
            assert arrivals.rate(10. * i + 1) == 0
        arrivals.observe(10. * i, 5)
        if i > 20:
            assert arrivals.rate(10. * i) == pytest.approx(0.5, rel=0.01)


def test_images_that_arrive_together():
    """Oracle: the variance of images in windows of a drawn compound Poisson
    process, divided by their mean: requests of 1 or 5 images."""
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.exponential(10., 20_000))
    counts = rng.choice([1, 5], len(times))
    arrivals = ArrivalRate(kept=len(times))
    assert arrivals.together == 1
    for now, count in zip(times, counts.tolist()):
        arrivals.observe(now, count)
    windows = np.bincount((times // 1000).astype(int), counts)[:-1]
    assert arrivals.together == pytest.approx(
        windows.var() / windows.mean(), rel=0.2)
    few = ArrivalRate(kept=2)
    for count, requests in ((9, 1), (4, 4), (3, 1)):
        few.observe(0., count, requests)
    assert few.together == (4 + 9) / 7


def test_bad_share():
    """Oracle: the field and its value are in the message."""
    with pytest.raises(InputError, match='share=1: expected'):
        Slowness(1)


def test_caution_rests_at_the_share():
    """Oracle: where a larger margin makes fewer images late, a simulated share
    of them ends at the wanted one; without misses there is no margin."""
    rng = np.random.default_rng(0)
    caution = Caution(share=0.98)
    late = []
    for _ in range(20_000):
        late.append(rng.random() < 0.1 * (1 - 2 * caution.margin))
        caution.observe(not late[-1])
    assert np.mean(late[5000:]) == pytest.approx(0.02, abs=0.003)
    for _ in range(3000):
        caution.observe(True)
    assert caution.margin == 0
    for _ in range(100):
        caution.observe(False)
    assert caution.margin == caution.MOST


@pytest.mark.parametrize('seed', range(5))
def test_hindsight_of_chains(seed):
    """Oracle: the same by definition: for each batch, by how much it and those
    after it took longer than it had expected, until it and those before it
    have expected an objective's worth; the margin is what 90 % of these are
    below."""
    rng = np.random.default_rng(seed)
    hindsight = Hindsight(100., share=0.9)
    number = 200
    grid = rng.uniform(5, 60, number)
    took = grid * rng.uniform(0.9, 1.6, number)
    paces = [
        Pace(level, spread, gap=gap)
        for level, spread, gap in rng.uniform(0, [1.3, 0.1, 4], (number, 3)) +
        [0.7, 0, 0]
    ]
    for pace, expected, observed in zip(paces, grid, took):
        hindsight.observe(pace, expected, observed)
    beyond, last = [], 0
    for i, pace in enumerate(paces):
        planned, variance = 0., 0.
        for k in range(i, number):
            planned += grid[k] * pace.level + pace.gap
            variance += (pace.spread * grid[k] * pace.level)**2
            if planned >= 100 and k >= last:
                last = k
                beyond.append(took[i:k + 1].sum() - planned - variance**0.5)
                break
    below = sorted(beyond)[int(0.9 * len(beyond))] / 100
    assert 150 < len(beyond) < number
    assert hindsight.margin == pytest.approx(min(max(below, 0), 0.4))


@pytest.mark.parametrize('slow,least,most', [(1., 0, 0.02), (1.6, 0.2, 0.4)])
def test_moments_in_which_everything_is_slow(slow, least, most):
    """Oracle: independent noise comes to nothing, for plans foresee it; of
    seven batches an objective, six of each forty take 1.6 times as long."""
    rng = np.random.default_rng(0)
    hindsight = Hindsight(100.)
    pace = Pace(1., 2.576 * 0.05)
    for i in range(600):
        hindsight.observe(
            pace, 15.,
            15. * rng.lognormal(0, 0.05) * (slow if i % 40 < 6 else 1.))
        assert i > 10 or hindsight.margin == 0  # too few to tell
    assert least <= hindsight.margin <= most


def test_overhead_is_of_most_answers():
    """Oracle: by hand: what lies behind the slowest image's network, and how
    late the process was, of all but the slowest twentieth; at most a third of
    the objective."""
    overhead = Overhead(90., 0.95)
    assert overhead.reserve_ms(0.) == 0
    for extra in range(1, 41):
        overhead.observe(0., 50. + extra / 10, [
            dict(queue_ms=10., network_ms=5.),
            dict(queue_ms=40., network_ms=10.)
        ])
    assert overhead.reserve_ms(0.) == pytest.approx(3.9)
    for _ in range(100):
        overhead.observe_lag(7.)
    assert overhead.reserve_ms(0.) == pytest.approx(10.9)
    for _ in range(100):
        overhead.observe_lag(700.)
    assert overhead.reserve_ms(0.) == 30
    for _ in range(12):
        overhead.observe_lag(1., 10)
    assert overhead.reserve_ms(0.) == 30
    overhead.observe_lag(1., 10)
    assert overhead.reserve_ms(0.) == pytest.approx(4.9)


def test_overhead_of_long_ago_is_forgotten():
    """Oracle: by hand: answers that took 20 ms besides, all of which are older
    than half a minute, and a new one of 1 ms."""
    overhead = Overhead(90.)
    for now in range(10):
        overhead.observe(1e3 * now, 25., [dict(queue_ms=2., network_ms=3.)])
    assert overhead.reserve_ms(39e3) == 20
    assert overhead.reserve_ms(39.1e3) == 0
    overhead.observe(40e3, 6., [dict(queue_ms=2., network_ms=3.)])
    assert overhead.reserve_ms(40e3) == 1


@pytest.mark.parametrize('busy, together, most', [(0.7, 1, 2.2), (0.9, 1, 1.4),
                                                  (0.9, 4, 1.4)])
def test_backlog(busy, together, most):
    """Oracle: a queue by a hand-written loop over random arrivals of so many
    images: how much work an arrival finds. It has more for the given share of
    the time, within what heavy traffic as an assumption leaves out."""
    rng = np.random.default_rng(0)
    each = 3.
    gaps = rng.exponential(each * together / busy, 200_000)
    work, found = 0., []
    for gap in gaps:
        work = max(work - gap, 0.)
        found.append(work)
        work += each * together
    for share in (0.1, 0.02):
        more = np.mean(
            np.array(found) > backlog_ms(busy, each, together, share))
        assert 0.7 * share < more < most * share
    assert backlog_ms(0., each, together) == 0
    assert backlog_ms(1., each, together) == np.inf
