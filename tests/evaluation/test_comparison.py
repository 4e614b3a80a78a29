"""Methods side by side."""

import csv
import json

import numpy as np
import pytest

from pss.errors import InputError
from pss.evaluation import (
    compare_methods,
    comparison_rows,
    comparison_table,
    read_results,
    report_comparison,
)
from pss.evaluation.comparison import round_levels

from ..paths import ROOT

PUBLISHED = ROOT / 'benchmarks' / 'results' / 'published'


def results(costs, top1, **more):
    rows = [dict(mflops=float(c), top1=float(t)) for c, t in zip(costs, top1)]
    return dict(
        resources=dict(flops='MFLOPs'),
        smallest=rows[0],
        largest=rows[-1],
        pools=[
            dict(resource='flops', level=row['mflops'], **row)
            for row in rows[1:-1]
        ],
        **more)


def random_runs(num, rng, **more):
    """Runs, each with kept subnets of its own costs."""
    runs = []
    for _ in range(num):
        costs = np.sort(rng.uniform(10, 20, 6))
        costs[[0, -1]] = 10, 20
        runs.append(
            results(
                costs,
                np.sort(rng.uniform(60, 80, 6)),
                train_seconds=float(rng.uniform(100, 200))))
    return runs


def test_statistics():
    """Oracle: numpy: interp, mean and std (ddof=1) over the runs, a dense
    trapezium rule for the area, and the standard error of a difference of
    means of independent samples."""
    rng = np.random.default_rng(0)
    runs = {'PSS-Net': random_runs(3, rng), 'US-Net': random_runs(4, rng)}
    levels = [10., 12.5, 17., 20.]
    found = compare_methods(runs, 'PSS-Net', levels)
    assert found['range'] == [10., 20.] and found['levels'] == levels

    dense = np.linspace(10, 20, 200_001)
    heights, areas = {}, {}
    for name, group in runs.items():
        curves = []
        for run in group:
            rows = [run['smallest'], *run['pools'], run['largest']]
            curves.append(
                ([r['mflops'] for r in rows], [r['top1'] for r in rows]))
        heights[name] = np.array([np.interp(levels, *c) for c in curves])
        areas[name] = np.array([((y[1:] + y[:-1]) / 2).mean()
                                for y in (np.interp(dense, *c)
                                          for c in curves)])
    for row, name in zip(found['methods'], runs):
        assert (row['method'], row['runs']) == (name, len(runs[name]))
        for i, at in enumerate(row['levels']):
            values = heights[name][:, i]
            assert at['mean'] == pytest.approx(np.mean(values))
            assert at['std'] == pytest.approx(np.std(values, ddof=1))
        assert row['area']['mean'] == pytest.approx(
            areas[name].mean(), abs=1e-4)
        assert row['area']['std'] == pytest.approx(
            np.std(areas[name], ddof=1), abs=1e-4)
        seconds = [run['train_seconds'] for run in runs[name]]
        assert row['train_seconds']['mean'] == pytest.approx(np.mean(seconds))
    assert 'difference' not in found['methods'][0]['area']
    gap = found['methods'][1]['area']['difference']
    one, other = areas.values()
    assert gap['mean'] == pytest.approx(one.mean() - other.mean(), abs=1e-4)
    assert gap['standard_error'] == pytest.approx(
        np.sqrt(np.var(one, ddof=1) / 3 + np.var(other, ddof=1) / 4), abs=1e-4)


def test_standard_error_is_the_deviation_of_differences():
    """Oracle: the standard deviation of 20,000 differences of means of 3 and 4
    normal values, against the mean of the squared standard errors."""
    from pss.evaluation.comparison import difference
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(1, 2, 3), rng.normal(0, 1, 4)) for _ in range(20_000)]
    found = [difference(*pair) for pair in pairs]
    gaps = [f['mean'] for f in found]
    squares = [f['standard_error']**2 for f in found]
    assert np.mean(gaps) == pytest.approx(1, abs=0.05)
    assert np.mean(squares) == pytest.approx(np.var(gaps), rel=0.05)


def test_pairs_by_seed():
    """Oracle: the differences of runs of one seed, given in another order,
    or where one method has fewer seeds; where each has seeds of its own, the
    error for independent samples."""
    rng = np.random.default_rng(1)
    weights = rng.normal(0, 5, 4)  # what a seed does to both methods
    one = [
        results([1, 2], [60 + w, 60 + w], seed=i) for i, w in enumerate(weights)
    ]
    gaps = rng.normal(1, 0.3, 4)
    other = [
        results([1, 2], [60 + w - g] * 2, seed=i)
        for i, (w, g) in enumerate(zip(weights, gaps))
    ]
    found = compare_methods(dict(a=one, b=other[::-1]), 'a')
    gap = found['methods'][1]['area']['difference']
    assert gap['mean'] == pytest.approx(gaps.mean())
    assert gap['standard_error'] == pytest.approx(gaps.std(ddof=1) / 2)
    # seed 0 is missing
    found = compare_methods(dict(a=one, b=other[1:]), 'a')
    gap = found['methods'][1]['area']['difference']
    assert gap['mean'] == pytest.approx(gaps[1:].mean())
    assert gap['standard_error'] == pytest.approx(gaps[1:].std(ddof=1) / 3**0.5)
    other[0]['seed'] = 7
    found = compare_methods(dict(a=one, b=other), 'a')
    gap = found['methods'][1]['area']['difference']
    assert gap['mean'] == pytest.approx(gaps.mean())
    assert gap['standard_error'] > 2


def test_one_run_has_no_error():
    """Oracle: a standard deviation needs two values."""
    found = compare_methods(
        {
            'a': [results([1, 2], [5, 6])],
            'b': [results([1, 2], [4, 6])] * 2
        }, 'a')
    assert found['methods'][0]['area'] == dict(mean=5.5, std=None)
    assert found['methods'][1]['area'] == dict(
        mean=5., std=0., difference=dict(mean=0.5, standard_error=None))


def test_levels_that_are_not_reached():
    """Oracle: a dash in the table, nothing in the CSV; the area is over the
    costs that both reach."""
    runs = {
        'a': [results([1, 2, 4], [5, 6, 7])],
        'b': [results([2, 8], [4, 8])]
    }
    found = compare_methods(runs, 'a', [6., 1., 3.])
    assert found['range'] == [2., 4.]
    assert [at is None
            for at in found['methods'][0]['levels']] == [False, False, True]
    second = found['methods'][1]['levels']
    assert second[0] is None and 'difference' not in second[2]
    assert second[1]['difference']['mean'] == pytest.approx(6.5 - 14 / 3)
    lines = comparison_table(found).splitlines()
    assert [cell.strip()
            for cell in lines[3].split('|')[3:6]] == ['-', '4.67', '6.67']
    rows = comparison_rows(found)
    assert [r['level'] for r in rows] == [1., 3., 6., 'area'] * 2
    assert rows[2]['top1_mean'] is None


@pytest.mark.parametrize('low, high', [(9., 20.), (97., 300.), (146., 568.),
                                       (759.5, 4089.3), (0.011, 0.02)])
def test_round_levels(low, high):
    """Oracle: 4 to 10 levels inside the range, evenly spaced, with a step of
    two digits."""
    levels = round_levels(low, high)
    assert 4 <= len(levels) <= 10
    assert low <= levels[0] and levels[-1] <= high
    steps = np.diff(levels)
    assert steps == pytest.approx(steps[0])
    assert float(f'{steps[0]:.2g}') == pytest.approx(steps[0])


@pytest.mark.parametrize('network, low, high', [('mbv1', 149, 568),
                                                ('mbv2', 97, 300)])
def test_published_figures(network, low, high):
    """Oracle: SPEC: the ends that all three reach, and a level by hand."""
    runs = {}
    for path in sorted(PUBLISHED.glob(f'*_{network}_imagenet.json')):
        found = read_results(path, subnets=False)
        runs[found['method']] = [found]
    assert list(runs) == [
        'MutualNet (published)', 'PSS-Net (published)', 'US-Net (published)'
    ]
    found = compare_methods(runs, 'PSS-Net (published)')
    assert found['range'] == [low, high]
    leads = [
        row['area']['difference']['mean'] for row in found['methods']
        if 'difference' in row['area']
    ]
    assert len(leads) == 2 and min(leads) > 0
    at = compare_methods(runs, 'US-Net (published)',
                         [217. if network == 'mbv1' else 222.])
    assert at['methods'][2]['levels'][0]['mean'] == (66.8 if network == 'mbv1'
                                                     else 70.0)


def test_files(tmp_path):
    """Oracle: read by json and csv; the signature of a PNG file."""
    runs = {'a': [results([1, 2], [5, 6])] * 2, 'b': [results([1, 2], [4, 6])]}
    found = compare_methods(runs, 'a', [1.5])
    files = report_comparison(found, runs, tmp_path / 'c.json')
    assert [f.name for f in files] == ['c.json', 'c.csv', 'c.md', 'c.png']
    assert json.loads(files[0].read_text()) == found
    rows = list(csv.DictReader(files[1].open()))
    assert rows[2]['method'] == 'b' and rows[2]['level'] == '1.5'
    assert rows[2]['reference_minus_it'] == '0.5'
    assert files[2].read_text().startswith('| method')
    assert files[3].read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'


def test_names_that_mean_something_elsewhere(tmp_path):
    """Oracle: as many cells in each row of the table; a file is written."""
    one = results([1, 2], [5, 6])
    runs = {'a|b': [one], '$x^$': [one], '_': [one]}
    found = compare_methods(runs, '_')
    files = report_comparison(found, runs, tmp_path / 'c.json')
    lines = files[2].read_text().splitlines()[:5]
    assert len({line.replace(r'\|', '').count('|') for line in lines}) == 1
    assert files[3].stat().st_size > 10_000


def test_bad_input(tmp_path):
    """Oracle: one error that names the method or the field."""
    one = results([1, 2], [5, 6])
    with pytest.raises(InputError, match="reference='c'.*a, b"):
        compare_methods({'a': [one], 'b': [one]}, 'c')
    with pytest.raises(InputError, match='begins at 3, another ends at 2'):
        compare_methods({'a': [one], 'b': [results([3, 4], [5, 6])]}, 'a')
    with pytest.raises(
            InputError, match="b: resource='size': expected one of flops"):
        compare_methods({'b': [one]}, 'b', resource='size')
    for change, words in ((dict(train_seconds='x'), "train_seconds='x'"),
                          (dict(method=3), 'method=3')):
        (tmp_path / 'r.json').write_text(json.dumps(dict(one, **change)))
        with pytest.raises(InputError, match=words):
            read_results(tmp_path / 'r.json', subnets=False)
    for other, words in ((dict(one, resources=dict(flops='GFLOPs')),
                          'GFLOPs, MFLOPs'), (results([1, 2], [5, 600]),
                                              'mflops=2, top1=600'),
                         (results([-1, 2], [5, 6]), 'mflops=-1'),
                         (results([1, 2],
                                  [float('nan'), 6]), 'top1=nan'), (dict(
                                      one,
                                      pools=[
                                          dict(
                                              resource='size',
                                              level=1.,
                                              mflops=1.,
                                              top1=5.)
                                      ]), "resource='size'.*flops")):
        with pytest.raises(InputError, match=words):
            compare_methods({'a': [one], 'b': [other]}, 'a')
    for levels, words in (([1.5, 1.5], 'twice'), ([float('nan')], 'nan'),
                          ([3.], '3 is not reached; expected 1 to 2')):
        with pytest.raises(InputError, match=words):
            compare_methods({'a': [one]}, 'a', levels)
    for out, words in (('', "out='': expected a name that ends in .json"),
                       (tmp_path / 'x.csv', 'x.csv'), (tmp_path, 'json')):
        with pytest.raises(InputError, match=words):
            report_comparison(
                compare_methods({'a': [one]}, 'a'), {'a': [one]}, out)
    (tmp_path / 'r.json').write_text(json.dumps(one))
    with pytest.raises(InputError, match='subnet'):
        read_results(tmp_path / 'r.json')
