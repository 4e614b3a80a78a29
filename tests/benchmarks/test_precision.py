"""Training in several precisions and memory formats."""

import json


def test_table(run_script, tmp_path):
    """Oracle: a row for each memory format of the precision that was asked
    for, in the JSON file, the Markdown file and the output."""
    out = run_script('precision', '--networks', 'mbv2', '--precisions',
                     'float32', '--rounds', 1, '--warmup', 0, '--batch-size', 1,
                     '--device', 'cpu', '--out', tmp_path)
    written = json.loads((tmp_path / 'precision_cpu.json').read_text())
    rows = written['rows']
    assert [(row['network'], row['precision'], row['memory_format'])
            for row in rows] == [('mbv2', 'float32', 'contiguous'),
                                 ('mbv2', 'float32', 'channels_last')]
    for row in rows:
        # one round, so that all three are one figure
        assert row['slowest'] == row['images_per_second'] == row['fastest'] > 0
        # Linux counts the parent's peak too, and pytest's may be higher
        assert row['peak_mib'] >= 0
    assert written['batch_size'] == 1 and written['rounds'] == 1
    table = (tmp_path / 'precision_cpu.md').read_text()
    assert table.split('\n\n')[1].strip() in out
