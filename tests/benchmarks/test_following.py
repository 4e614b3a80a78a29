"""Following a latency on simulated loads."""

import json

import numpy as np
import pytest


@pytest.fixture
def following(script):
    """The script's module."""
    return script('following')


def test_one_that_knows_the_load(following):
    """Oracle: by definition: one that knows the load and meets no noise is in
    time, as accurate as the oracle, and back at once."""
    bank = following.banks()['13 subnets']
    target = following.TARGET * max(bank.typical)
    for name, trace in following.traces(np.random.default_rng(0)):
        load = iter(trace.load)

        def choose(load=load):
            slowdown = next(load)
            return max(i for i, typical in enumerate(bank.typical)
                       if typical * slowdown <= target)

        found = following.simulate(choose, lambda *_: None, bank, trace, 0.,
                                   np.random.default_rng(0))
        assert found['accuracy'] == 0, name
        assert found['relieved'] == (0 if trace.relief > 0 else None)
        # the largest fits while there is no load, and a spike is too high for
        # any subnet
        assert found['in_time'] == 100, name


def test_goals(following, run_script, tmp_path):
    """Oracle: issue 19's goals, for each bank, noise and trace; a spike moves
    nothing, and always the largest misses them."""
    out = tmp_path / 'following.json'
    text = run_script('following', '--repeats', 2, '--out', out)
    rows = json.loads(out.read_text())['rows']
    assert len(rows) == 2 * 2 * 8 * 3 and 'no load' in text
    for row in rows:
        if row['policy'] == 'follower':
            assert row['in_time'] >= 95, row
            assert row['accuracy'] >= -0.3, row
            assert row['relieved'] is None or row['relieved'] <= 10, row
            if row['trace'] == 'spikes':
                assert row['moves'] == 0, row
    assert min(r['in_time'] for r in rows if r['policy'] == 'largest') < 70
