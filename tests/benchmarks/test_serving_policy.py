"""The policy on simulated traffic."""

import itertools
import json

import numpy as np
import pytest

from pss.serving import LatencyGrid


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


@pytest.mark.parametrize('seed', range(6))
def test_the_oracle(bench, seed):
    """Oracle: all schedules of six requests; times are whole steps, so that
    nothing is rounded."""
    rng = np.random.default_rng(seed)
    grid = LatencyGrid(
        range(1, 17),
        [[1. + b for b in range(1, 17)], [3. + b for b in range(1, 17)]],
        [70., 80.])
    case = bench.Case('', grid, 10.)
    times = np.sort(rng.integers(0, 12, 6)).astype(float)
    found = bench.oracle(case, times)
    in_time = found.latencies <= case.slo_ms
    count, total = best_of_all(bench, case, times)
    assert in_time.sum() == count
    assert np.array(grid.accuracies)[found.subnets[in_time]].sum() == \
        pytest.approx(total)


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


def test_goals(bench, monkeypatch):
    """Oracle: issue 20's goals, for the 24 subnets and an objective of 5 times
    the largest one's latency; what is left to reach elsewhere is in the
    results."""
    monkeypatch.setattr(bench, 'REQUESTS', 100)
    for case in bench.cases():
        if case.name not in ('24 subnets, 0.1 fixed, 5',
                             '24 subnets, 0.6 fixed, 5'):
            continue
        rows = bench.measure(case, 0.02, [0, 1])
        assert len(rows) == 4 * 5
        for row in rows:
            if row['policy'] == 'adaptive':
                assert row['manageable'] and row['in_time'] >= 99, row
                assert row['way'] >= 90, row
        largest = [r['in_time'] for r in rows if r['policy'] == 'largest']
        assert min(largest) < 50


def test_the_tool(bench, run_script, tmp_path, monkeypatch):
    """Oracle: a row for each case, noise, phase and policy."""
    few = bench.cases()[-1:]
    monkeypatch.setattr(bench, 'cases', lambda: few)
    monkeypatch.setattr(bench, 'REQUESTS', 20)
    out = tmp_path / 'policy.json'
    text = run_script('serving_policy', '--repeats', 1, '--noise', 0.05,
                      '--out', out)
    rows = json.loads(out.read_text())['rows']
    assert [(row['phase'], row['policy']) for row in rows] == list(
        itertools.product(range(4), bench.POLICIES)) and 'oracle' in text
