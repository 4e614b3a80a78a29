"""What sorting channels is worth."""

import json


def test_rows(run_script, tiny_compare, tmp_path):
    """Oracle: a row before and after a short training, of channels as they are
    and sorted. Sorting leaves the largest subnet as it is, up to an image that
    rounding decides; all are percentages of 30 images."""
    out = run_script('head_start', '--epochs', 1, '--work-dir', tmp_path,
                     '--out', tmp_path / 'a.json')
    rows = json.loads((tmp_path / 'a.json').read_text())['rows']
    assert [row['channels'] for row in rows] == [
        'as it is', 'sorted', 'as it is, then trained', 'sorted, then trained'
    ]
    assert all(row['channels'] in out for row in rows)
    plain, ordered, *_ = rows
    assert abs(plain['largest'] - ordered['largest']) <= 100 / 30 + 1e-9
    for row in rows:
        for key in ('largest', 'narrowest', 'others'):
            assert 0 <= row[key] <= 100
