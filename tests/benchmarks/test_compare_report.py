"""The tables and the figure of a comparison."""

import json

import numpy as np
import pytest


@pytest.fixture
def compare(script):
    """The module of the script that runs the comparison."""
    return script('compare')


def test_report(compare, tmp_path, capsys):
    """Oracle: numpy on made-up results; every run, seed and piece is in the
    files."""
    rng = np.random.default_rng(0)

    def results():
        rows = [
            dict(
                mflops=c, top1=float(t), subnet=dict(resolution=28, widths=[8]))
            for c, t in zip((9., 12., 20.), np.sort(rng.uniform(70, 90, 3)))
        ]
        return dict(
            resources=dict(flops='MFLOPs'),
            smallest=rows[0],
            largest=rows[2],
            pools=[dict(rows[1], resource='flops', level=13)])

    members = [
        dict(score=-i, held_out=80. - i, halves=[80. - i, 80. - i])
        for i in range(5)
    ]
    runs = []
    for task in compare.runs_of([0, 1, 2], 100, 3):
        # of seed 1 another pool is filled, and that of the others is empty
        level = 13 if task.seed == 1 else 10
        ranks = dict(ranks=dict(pools=[dict(
            resource='flops', level=level, members=members[task.seed:])])) \
            if task.variant == 'pss' else {}
        runs.append(
            dict(
                task._asdict(),
                passes=compare.PASSES[task.method],
                train_seconds=float(rng.uniform(1, 2)),
                seconds=3.,
                results=results(),
                **ranks))
    out = tmp_path / 'study.json'
    compare.report_study(
        dict(
            command='make compare', seeds=[0, 1, 2], iterations=100, runs=runs),
        str(out))
    assert {p.name
            for p in tmp_path.iterdir()
            } == {'study.json', 'study.csv', 'study.md', 'study.png'}
    study = json.loads(out.read_text())
    assert len(study['runs']) == 33
    equal, same_passes, pieces = study['comparisons'].values()
    assert [m['method'] for m in equal['methods']] == [
        m['method'] for m in same_passes['methods']
    ] == ['PSS-Net', 'Random', 'MutualNet', 'US-Net']
    assert len(pieces['methods']) == 6
    assert all(m['runs'] == 3 for found in study['comparisons'].values()
               for m in found['methods'])
    fewer = [
        r['results'] for r in runs
        if r['variant'] == 'usnet' and r['iterations'] == 75
    ]
    at = dict(zip(same_passes['levels'], same_passes['methods'][3]['levels']))
    values = [
        np.interp(12, [9, 12, 20], [
            r[k]['top1'] if k != 'pools' else r[k][0]['top1']
            for k in ('smallest', 'pools', 'largest')
        ]) for r in fewer
    ]
    assert at[12.]['mean'] == pytest.approx(np.mean(values))
    assert at[12.]['std'] == pytest.approx(np.std(values, ddof=1))
    assert [rank['pool'] for rank in study['ranks']] == ['flops 10', 'flops 13']
    assert study['ranks'][0]['subnets'] == dict(
        mean=4., std=pytest.approx(2**0.5))  # 5 of seed 0, 3 of seed 2
    assert study['ranks'][1]['subnets'] == dict(mean=4., std=None)
    assert study['ranks'][0]['correlation'] == pytest.approx(
        dict(mean=1., std=0.))
    text = (tmp_path / 'study.md').read_text()
    assert text in capsys.readouterr().out
    for words in ('Equal training: 100 iterations', '300 network passes',
                  'pool size 10', 'uniform drawing', 'flops 10'):
        assert words in text
