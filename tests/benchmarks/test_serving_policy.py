"""The policy on simulated traffic."""

import itertools
import json

import numpy as np
import pytest

from pss.serving import LatencyGrid
from pss.serving.estimates import Hindsight


@pytest.fixture
def bench(script):
    """The script's module."""
    return script('serving_policy')


def best_of_all(bench, case, times):
    """The most in time and their summed accuracy, by trying everything."""
    grid = case.grid

    def best(i, now):
        if i == len(times):
            return 0, 0.
        found = [best(i + 1, now)]
        for size in range(1, len(times) - i + 1):
            start = max(now, times[i + size - 1])
            for row, accuracy in zip(grid.latencies_ms, grid.accuracies):
                end = start + row[size]
                if end <= times[i] + case.slo_ms + 1e-9:
                    count, total = best(i + size, end)
                    found.append((count + size, total + size * accuracy))
        return max(found)

    return best(0, 0.)


@pytest.mark.parametrize('whole', [True, False])
@pytest.mark.parametrize('seed', range(6))
def test_the_oracle(bench, seed, whole):
    """Oracle: all schedules of six requests, at whole steps and at any times,
    where a plan that begins between two steps may not be quite the best."""
    rng = np.random.default_rng(seed)
    grid = LatencyGrid(
        range(1, 17),
        [[1. + b for b in range(1, 17)], [3. + b for b in range(1, 17)]],
        [70., 80.])
    case = bench.Case('', grid, 10.)
    times = np.sort(
        rng.integers(0, 12, 6).astype(float) if whole else rng.
        uniform(0, 12, 6))
    found = bench.oracle(case, times)
    in_time = found.latencies <= case.slo_ms
    count, total = best_of_all(bench, case, times)
    assert in_time.sum() == count
    assert np.array(grid.accuracies)[found.subnets[in_time]].sum() == \
        pytest.approx(total, rel=1e-9 if whole else 0.01)


@pytest.mark.parametrize('seed', range(3))
def test_no_policy_has_more_in_time(bench, seed):
    """Oracle: by definition: it knows all arrivals, and how slow batches are,
    so no policy has more in time, where they cannot all be, either."""
    grid = LatencyGrid(
        [1, 2, 4], [[15., 30.5, 63.9], [22.3, 45.9, 85.], [59.8, 116., 226.]],
        [60., 61., 65.])
    case = bench.Case('', grid, 460.)
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 8000, 430))
    slower = np.where(times < 2000, 1.2, 1.4)
    best = bench.oracle(case, times, slower=slower)
    finite = np.isfinite(best.latencies)
    assert finite.mean() < 0.95 and best.latencies[finite].max() <= case.slo_ms
    for known in (grid, bench.only(grid, grid.fastest)):
        found = bench.simulate(
            bench.Scheduler(known, case.slo_ms), known, times, 0., rng, slower)
        count = (found.latencies <= case.slo_ms).sum()
        assert 0.8 * len(times) < count <= finite.sum()


def test_nothing_is_lost(bench):
    """Oracle: by definition: a request has a subnet if and only if it has a
    latency; the objective bounds what a policy without noise admits."""
    case = bench.cases()[2]
    times, _ = bench.traffic(case, np.random.default_rng(0))
    for policy in ('adaptive', 'largest', 'smallest', 'follower'):
        found = bench.POLICIES[policy](case, times[:400], 0.,
                                       np.random.default_rng(0))
        answered = np.isfinite(found.latencies)
        assert ((found.subnets >= 0) == answered).all()
        assert found.latencies.min() > 0
        if policy != 'follower':
            # until the noise is known to be nothing, a reserve is kept
            assert found.latencies[answered].max() <= case.slo_ms + 1e-6


def steady(bench):
    """The two devices with 24 subnets and an objective of 5 times the largest
    one's latency."""
    return [
        case for case in bench.cases()
        if case.name.startswith('24 ') and case.name.endswith(', 5')
    ]


def test_goals(bench, monkeypatch):
    """Oracle: issue 20's goals; what is left to reach elsewhere is in the
    results."""
    monkeypatch.setattr(bench, 'REQUESTS', 100)
    for case in steady(bench):
        rows = bench.measure(case, 0.02, [0, 1])
        assert len(rows) == 4 * 5
        for row in rows:
            if row['policy'] == 'adaptive':
                assert row['manageable'] and row['in_time'] >= 99, row
                assert row['way'] >= 90, row
        largest = [r['in_time'] for r in rows if r['policy'] == 'largest']
        assert min(largest) < 50


def test_slow_moments(bench, monkeypatch):
    """Oracle: the fastest subnet, which answers all but at 3 times; the policy
    has to have seen some of them, and without that it misses twice as many."""
    monkeypatch.setattr(bench, 'REQUESTS', 150)
    found = {'smallest': [], 'with': [], 'without': []}
    for case, seed in itertools.product(steady(bench), range(6)):
        times, phases = bench.traffic(case, np.random.default_rng(seed))
        slower = bench.slow_moments(case, times, np.random.default_rng(seed))
        for name, policy, most in (('smallest', 'smallest',
                                    0.), ('with', 'adaptive', Hindsight.MOST),
                                   ('without', 'adaptive', 0.)):
            with monkeypatch.context() as patch:
                patch.setattr(Hindsight, 'MOST', most)
                answers = bench.POLICIES[policy](case, times, 0.02,
                                                 np.random.default_rng(seed),
                                                 slower)
            found[name].append(
                100 * (answers.latencies > case.slo_ms)[phases != 2].mean())
    missed = {name: np.mean(shares) for name, shares in found.items()}
    assert missed['smallest'] == 0
    assert missed['with'] < min(1, missed['without'] / 2), missed


def test_the_tool(bench, run_script, tmp_path, monkeypatch):
    """Oracle: a row for each case, noise, with slow moments and without, phase
    and policy."""
    few = bench.cases()[-1:]
    monkeypatch.setattr(bench, 'cases', lambda: few)
    monkeypatch.setattr(bench, 'REQUESTS', 20)
    out = tmp_path / 'policy.json'
    text = run_script('serving_policy', '--repeats', 1, '--noise', 0.05,
                      '--out', out)
    rows = json.loads(out.read_text())['rows']
    assert [(row['moments'], row['phase'], row['policy']) for row in rows] == \
        list(itertools.product([True, False], range(4), bench.POLICIES))
    assert 'oracle' in text
