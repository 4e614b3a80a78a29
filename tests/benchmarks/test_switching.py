"""A bank's size, its switches and its forward passes."""

import re


def test_figures(run_script):
    """Oracle: a subnet for each of the config's 11 pools and the two ends; the
    extracted networks' own logits."""
    out = run_script('switching', 'configs/pss_mbv2_fashion_mnist.py',
                     '--subnets', 2, '--rounds', 2, '--batch-size', 2,
                     '--switches', 50)
    assert ', 13 subnets: bank ' in out
    assert re.search(r'bytes more after 50 of them', out)
    for batch in (1, 2):
        low, high, num, gap = re.search(
            rf'forward, batch {batch}: .* \((\S+) to (\S+) over (\d+) subnets'
            r'.*differ by (\S+)', out).groups()
        assert 0 < float(low) <= float(high) and num == '2'
        assert float(gap) < 1e-4
