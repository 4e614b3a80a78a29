"""Calibrating and evaluating many subnets."""

import json


def test_figures(run_script, tmp_path):
    """Oracle: logits with shared layers equal those without, bit by bit; each
    way has both times."""
    out = tmp_path / 'evaluation.json'
    printed = run_script('evaluation', '--configs',
                         'configs/pss_mbv2_fashion_mnist.py', '--images', 8,
                         '--subnets', 3, '--rounds', 1, '--out', out)
    result, = json.loads(out.read_text())['results']
    assert all(row['calibrating'] > 0 and row['evaluating'] > 0
               for row in result['seconds'])
    assert result['logits_are_equal'] and 'logits are equal' in printed
    assert all(row['way'] in printed for row in result['seconds'])
