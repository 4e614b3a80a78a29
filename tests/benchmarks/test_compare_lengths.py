"""Methods over several lengths of training."""

import json

import numpy as np
import pytest

from .test_compare_report import area, results


def report(compare, epochs, rng, seeds=(0, 1, 2)):
    """Made-up results of a length, at equal passes and at equal iterations."""
    runs = [
        dict(
            task._asdict(),
            passes=compare.PASSES[task.method],
            results=results(rng),
            published=results(rng, -1.))
        for task in compare.runs_of([*seeds], epochs)
    ]
    return dict(epochs=epochs, seeds=[*seeds], runs=runs)


def test_differences(compare, run_script, tmp_path):
    """Oracle: numpy on made-up results: the mean over lengths of each seed, and
    its error over seeds."""
    rng = np.random.default_rng(0)
    reports = [report(compare, epochs, rng) for epochs in (8, 16)]
    paths = [tmp_path / f'{k}.json' for k in range(2)]
    for path, one in zip(paths, reports):
        path.write_text(json.dumps(one))
    out = run_script('compare_lengths', *paths, '--out', tmp_path / 'all.json')
    rows = json.loads((tmp_path / 'all.json').read_text())['rows']
    assert len(rows) == 2 * 7

    def gaps(one, choice, ours, other):
        found = {
            (r['method'], r['epochs'] * r['passes'], r['seed']): area(r[choice])
            for r in one['runs']
        }
        passes = 3 * one['epochs']
        return np.array([
            found[ours, passes, s] - found[other, passes, s] for s in (0, 1, 2)
        ])

    for choice, words in (('results', 'search'), ('published', 'by score')):
        row = next(
            row for row in rows
            if (row['method'], row['other'],
                row['choice']) == ('PSS-Net', 'US-Net', words))
        each = [gaps(one, choice, 'pss', 'usnet') for one in reports]
        for name, values in (('8', each[0]), ('16', each[1]),
                             ('all', (each[0] + each[1]) / 2)):
            error = values.std(ddof=1) / 3**0.5
            assert row[name] == dict(
                mean=pytest.approx(values.mean(), abs=1e-3),
                standard_error=pytest.approx(error, abs=1e-3))
            assert f'{row[name]["mean"]:+.2f}' in out


def test_of_one_seed(compare, script):
    """Oracle: the methods and what was expected are in the message."""
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match='pss and random: 1 seeds'):
        script('compare_lengths').compare([report(compare, 8, rng, [3])])
