"""A device bank beside other ways to predict."""

import json


def test_figures(run_script, tiny_config, tmp_path):
    """Oracle: the config's 5 pools and the two ends; every figure is positive,
    and the ratio is that of the two times."""
    tiny_config.default_hooks.pss_sampler.budgets = dict(
        flops=dict(start=0.4, stop=0.8, step=0.1))
    tiny_config.dump(tmp_path / 'config.py')
    out = run_script('device', '--config', tmp_path / 'config.py', '--rounds',
                     1, '--starts', 1, '--out', tmp_path / 'device.json')
    found = json.loads((tmp_path / 'device.json').read_text())
    assert found['subnets'] == 5 + 2 and all(key in out for key in found)
    for way in ('classifier', 'session', 'plain'):
        assert found[way]['cold_start_s'] > 0 and found[way]['peak_mb'] > 0
    times = found['latency_ms']
    # times are rounded to 10 us
    low, high = (((times['session'] + gap) / (times['plain'] - gap))
                 for gap in (-0.005, 0.005))
    assert low - 1e-3 <= times['session_by_plain'] <= high + 1e-3
    assert 0 < found['switches_ms']['cold_median'] <= \
        found['switches_ms']['cold_most']
