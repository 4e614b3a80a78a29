"""The tables and the figure of a comparison."""

import json

import numpy as np
import pytest


def results(rng, shift=0.):
    """Made-up results of one run."""
    rows = [
        dict(
            mflops=c,
            top1=float(t) + shift,
            subnet=dict(resolution=28, widths=[8]))
        for c, t in zip((9., 12., 20.), np.sort(rng.uniform(70, 90, 3)))
    ]
    return dict(
        resources=dict(flops='MFLOPs'),
        smallest=rows[0],
        largest=rows[2],
        pools=[dict(rows[1], resource='flops', level=13)])


def area(found):
    """The mean top-1 of a run over 9 to 20 MFLOPs."""
    x = np.linspace(9, 20, 100_001)
    rows = (found['smallest'], found['pools'][0], found['largest'])
    y = np.interp(x, [9, 12, 20], [r['top1'] for r in rows])
    return ((y[1:] + y[:-1]) / 2).mean()


def test_report(compare, tmp_path, capsys):
    """Oracle: numpy on made-up results: differences paired by seed, what
    draws, half and twice the training change; every run is in the files."""
    rng = np.random.default_rng(0)
    seeds = [0, 1, 2]
    runs = []
    for task in dict.fromkeys(
            compare.runs_of(seeds, 8) + compare.checks_of(seeds, 8)):
        runs.append(
            dict(
                task._asdict(),
                config=task.name,
                passes=compare.PASSES[task.method],
                train_seconds=float(rng.uniform(1, 2)),
                results=results(rng),
                published=results(rng, -1.)))
    out = tmp_path / 'study.json'
    compare.report_study(
        dict(
            command='make compare',
            seeds=seeds,
            epochs=8,
            planned=len(runs) + 1,
            runs=runs), str(out))
    assert {p.name
            for p in tmp_path.iterdir()
            } == {'study.json', 'study.csv', 'study.md', 'study.png'}
    study = json.loads(out.read_text())
    assert len(study['runs']) == len(runs) == 21 + 8
    names = [
        'PSS-Net', 'PSS-Net, additive score', 'Random', 'MutualNet', 'US-Net'
    ]
    assert len(study['comparisons']) == 4
    for found in study['comparisons'].values():
        assert [m['method'] for m in found['methods']] == names
        assert all(m['runs'] == 3 for m in found['methods'])

    def areas(method, epochs, key='results'):
        return np.array([
            area(r[key]) for r in runs
            if (r['method'],
                r['epochs']) == (method, epochs) and r['draws'] == r['seed']
        ])

    for title, key, epochs in (('8 epochs', 'results',
                                8), ('as many network passes', 'results', 6),
                               ('8 epochs, chosen by score', 'published', 8)):
        gaps = areas('pss', 8, key) - areas('usnet', epochs, key)
        found = study['comparisons'][title]['methods'][4]['area']['difference']
        assert found['mean'] == pytest.approx(gaps.mean(), abs=1e-3)
        assert found['standard_error'] == pytest.approx(
            gaps.std(ddof=1) / 3**0.5, abs=1e-3)
    lead = study['leads']['as many network passes']
    assert lead['method'] == 'PSS-Net, additive score'
    gaps = areas('pss_additive', 8) - areas('mutualnet', 6)
    found = lead['ahead']['MutualNet']
    assert found['mean'] == pytest.approx(gaps.mean(), abs=1e-3)
    assert found['standard_error'] == pytest.approx(
        gaps.std(ddof=1) / 3**0.5, abs=1e-3)
    checks = study['checks']
    drawn = [
        area(r['results']) for r in runs
        if (r['method'], r['epochs'], r['seed']) == ('random', 8, 0)
    ]
    assert checks['draws']['runs'] == len(drawn) == 3
    assert checks['draws']['std'] == pytest.approx(
        np.std(drawn, ddof=1), abs=1e-3)
    lost = areas('random', 8) - areas('random', 4)
    assert checks['half']['mean'] == pytest.approx(lost.mean(), abs=1e-3)
    twice = areas('random', 16) - areas('random', 8)
    assert checks['area_of_twice']['mean'] == pytest.approx(
        twice.mean(), abs=1e-3)
    largest = {
        (r['epochs'], r['seed']): r['results']['largest']['top1']
        for r in runs if r['method'] == 'random' and r['draws'] < 1000
    }
    gains = np.array([largest[16, s] - largest[8, s] for s in seeds])
    assert checks['largest_of_twice'] == dict(
        mean=pytest.approx(gains.mean(), abs=1e-3),
        standard_error=pytest.approx(gains.std(ddof=1) / 3**0.5, abs=1e-3),
        runs=3)
    text = (tmp_path / 'study.md').read_text()
    assert text in capsys.readouterr().out
    for words in ('**8 epochs**', 'as many network passes', 'chosen by score',
                  '29 of 30 runs are done', 'Draws alone', 'Twice the training',
                  '3 seeds'):
        assert words in text


def test_the_best_of_ours(script):
    """Oracle: the mean areas, of methods with as many runs as any of ours."""
    report = script('compare_report')
    rng = np.random.default_rng(0)
    base = results(rng)

    def runs(shift, num):
        top1 = {
            k: dict(base[k], top1=base[k]['top1'] + shift)
            for k in ('smallest', 'largest')
        }
        pools = [dict(base['pools'][0], top1=base['pools'][0]['top1'] + shift)]
        return [dict(base, seed=i, pools=pools, **top1) for i in range(num)]

    group = {
        'Random': runs(0., 3),
        'Additive, by need': runs(1., 3),
        'Additive, alpha-divergence': runs(2., 3),
        "Additive, US-Net's range": runs(3., 2)
    }
    lead = report.lead_of(group)
    assert lead['method'] == 'Additive, alpha-divergence'
    assert lead['ahead']['Random']['mean'] == pytest.approx(2)
    assert report.lead_of(dict(Random=group['Random'])) is None


def test_a_report_of_one_run(compare, tmp_path):
    """Oracle: the run's own area; nothing to compare it with."""
    task = compare.Run('pss', 8, 0, 0)
    found = results(np.random.default_rng(0))
    entry = dict(
        task._asdict(),
        config='',
        passes=3,
        train_seconds=1.,
        results=found,
        published=found)
    compare.report_study(
        dict(command='c', seeds=[0], epochs=8, planned=30, runs=[entry]),
        str(tmp_path / 'a.json'))
    study = json.loads((tmp_path / 'a.json').read_text())
    assert study['checks'] == {}
    row, = study['comparisons']['8 epochs']['methods']
    assert row['area']['mean'] == pytest.approx(area(found), abs=1e-3)
