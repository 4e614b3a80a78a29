"""An iteration of a supernet against plain networks."""

import re


def test_figures(run_script):
    """Oracle: the ratio is that of the two times; the shares are of an
    iteration."""
    out = run_script('train_iteration', 'configs/pss_mbv2_fashion_mnist.py',
                     '--batch-size', 2, '--rounds', 1)
    ours, theirs, ratio, draw, share = map(
        float,
        re.search(
            r'batch 2, cpu: supernet (\S+) s, three plain networks (\S+) s, '
            r'ratio (\S+); sampler and pools (\S+) ms, (\S+)%', out).groups())
    # times are printed to a millisecond
    assert (ours - 5e-4) / (theirs + 5e-4) - 1e-3 <= ratio <= \
        (ours + 5e-4) / (theirs - 5e-4) + 1e-3
    assert 0 < draw / 1e3 < ours and 0 < share < 100
