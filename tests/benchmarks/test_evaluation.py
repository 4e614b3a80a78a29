"""Evaluating many subnets in one pass."""

import re


def test_figures(run_script):
    """Oracle: the ratio is that of the two times."""
    out = run_script('evaluation', '--images', 2, '--subnets', 2)
    together, apart, ratio = map(
        float,
        re.search(
            r'2 subnets on 2 images: together (\S+) s, one pass each (\S+) s, '
            r'ratio (\S+)', out).groups())
    assert (together - 5e-3) / (apart + 5e-3) - 1e-3 <= ratio <= \
        (together + 5e-3) / (apart - 5e-3) + 1e-3
