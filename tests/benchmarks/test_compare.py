"""The comparison of methods: what it trains, what it repeats, what it says."""

import json
import sys

import numpy as np
import pytest

from pss.errors import InputError
from pss.files import write_json
from pss.registry import HOOKS, MODELS, check_config
from pss.resources import flops_table
from pss.structures import budgets_of

from .test_compare_report import results


def test_runs(compare):
    """Oracle: five methods, the two with four passes once more at three
    quarters of the epochs, for each seed; the checks are of random sampling."""
    runs = compare.runs_of([0, 3, 2], 8)
    assert len(runs) == len({run.name for run in runs}) == 3 * 7
    passes = {(run.method, run.epochs * compare.PASSES[run.method])
              for run in runs}
    assert passes == {('pss', 24), ('pss_additive', 24), ('random', 24),
                      ('mutualnet', 32), ('usnet', 32), ('mutualnet', 24),
                      ('usnet', 24)}
    checks = compare.checks_of([0, 3, 2], 8)
    assert {run.method for run in checks} == {'random'}
    assert [(run.epochs, run.seed, run.draws)
            for run in checks] == [(8, 0, 0), (8, 0, 1000), (8, 0, 2000),
                                   (16, 0, 0), (16, 3, 3), (16, 2, 2),
                                   (8, 0, 0), (8, 3, 3), (8, 2, 2), (4, 0, 0),
                                   (4, 3, 3), (4, 2, 2)]


def test_configs(compare):
    """Oracle: no unknown key; methods share everything but the space and the
    sampler, and the spaces reach about as little and just as much."""
    configs = {
        run.method: compare.config_of(run)
        for run in compare.runs_of([1], 8) if run.epochs == 8
    }
    whole = configs['pss'].to_dict()
    ends = {}
    for method, config in configs.items():
        check_config(config)
        found = config.to_dict()
        changed = {key for key in found if found[key] != whole[key]}
        assert changed <= {'model', 'default_hooks'}
        backbone = dict(found['model']['backbone'], search_space=None)
        assert backbone == dict(whole['model']['backbone'], search_space=None)
        hooks = found['default_hooks']
        assert {k
                for k in hooks
                if hooks[k] != whole['default_hooks'][k]} <= {'pss_sampler'}
        hook = HOOKS.build(config.default_hooks.pss_sampler)
        assert hook.budgets == dict(flops=budgets_of('flops', 0.15, 0.55, 0.1))
        model = MODELS.build(config.model)
        space = model.search_space
        ends[method] = flops_table(model)(
            space.encode([space.smallest, space.largest]))
    assert np.ptp([high for _, high in ends.values()]) == 0
    assert all(low <= 1.15 * ends['pss'][0] for low, _ in ends.values())


def test_options(compare):
    """Oracle: an option changes of PSS-Net with the additive score what its
    entry says and nothing else; it is trained as long, and where an iteration
    has more or fewer passes, once more with as many in all."""
    runs = compare.runs_of([4], 16, compare.OPTIONS)
    assert {(run.method, run.epochs)
            for run in runs} == {('need', 16), ('shrink', 16), ('shrink', 24),
                                 ('best_of', 16), ('best_of', 12),
                                 ('alpha', 16), ('widths', 16),
                                 ('widths_random', 16)}
    for run in runs:
        base = compare.config_of(run._replace(method='pss_additive'))
        config = compare.config_of(run)
        check_config(config)
        assert config.to_dict() != base.to_dict()
        base.merge_from_dict(compare.OPTIONS[run.method])
        assert config.to_dict() == base.to_dict()
        HOOKS.build(config.default_hooks.pss_sampler)
    usnet, widths = (
        MODELS.build(compare.config_of(compare.Run(m, 16, 4, 4)).model)
        for m in ('usnet', 'widths'))
    assert all(
        getattr(usnet.search_space, end) == getattr(widths.search_space, end)
        for end in ('smallest', 'largest'))


def test_draws_have_a_seed_of_their_own(compare):
    """Oracle: runs of one seed differ in the draws' seed alone."""
    one, other = (
        compare.config_of(compare.Run('random', 8, 5, draws)).to_dict()
        for draws in (5, 1005))
    assert one['randomness'] == other['randomness'] == dict(seed=5)
    assert one.pop('default_hooks')['pss_sampler'].pop('draw_seed') == 5
    assert other.pop('default_hooks')['pss_sampler'].pop('draw_seed') == 1005
    assert one == other


def test_finished_runs_are_not_repeated(tiny_compare, tmp_path, capsys):
    """Oracle: the files of a real run and when they were written; without one
    of them, or with another config, it is not done; and if an earlier report
    has it, no file is needed."""
    study = tiny_compare.Study(tmp_path, 1)
    run = tiny_compare.Run('usnet', 1, 0, 0)
    tiny_compare.do_all(study, [run], 1)
    out = capsys.readouterr().out
    assert '0 of 1 runs are done' in out and '[1/1] usnet_1ep_seed0' in out
    entry = study.entry(run)
    assert entry['passes'] == 4 and entry['train_seconds'] > 0
    for key in ('results', 'published'):
        assert [row['level'] for row in entry[key]['pools']]
        assert 'evaluated' not in entry[key]

    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.json')}
    tiny_compare.do_all(study, [run], 1)
    assert '1 of 1 runs are done' in capsys.readouterr().out
    assert written == {
        p: p.stat().st_mtime_ns
        for p in tmp_path.rglob('*.json')
    }
    folder = tmp_path / run.name
    (folder / 'published.json').unlink()
    assert not study.is_done(run)
    write_json(entry['published'], folder / 'published.json')
    assert study.is_done(run)
    config = tmp_path / f'{run.name}.py'
    config.write_text(config.read_text().replace('lr=0.05', 'lr=0.02'))
    assert not study.is_done(run)
    again = tiny_compare.Study(tmp_path / 'other', 1, [entry])
    assert again.is_done(run) and again.entry(run) == entry


def test_a_run_that_fails_stops_all(tiny_compare, tmp_path, monkeypatch):
    """Oracle: the command, its status and its log in the message."""
    monkeypatch.setattr(
        tiny_compare, 'setting',
        lambda method, epochs: dict(train_cfg=dict(max_epochs=0.5)))
    run = tiny_compare.Run('random', 4, 0, 0)
    with pytest.raises(InputError, match=r'random_4ep_seed0.*status.*\.log'):
        tiny_compare.do_all(tiny_compare.Study(tmp_path, 1), [run], 1)
    assert not tiny_compare.Study(tmp_path, 1).is_done(run)


def test_report_of_what_is_done(compare, run_script, tmp_path):
    """Oracle: the runs of an earlier report are done if their configs are those
    of now; the others, one here, are not in the new one."""
    study = compare.Study(tmp_path, 1)
    runs = [*dict.fromkeys(compare.checks_of([0], 4))]
    rng = np.random.default_rng(0)
    done = [
        dict(
            run._asdict(),
            config=study._digest(run),
            passes=3,
            train_seconds=1.,
            results=results(rng),
            published=results(rng)) for run in runs
    ]
    missing = done.pop()
    out = tmp_path / 'study.json'
    write_json(dict(runs=done), out)
    run_script('compare', '--report-only', '--checks-only', '--seeds', 0,
               '--epochs', 4, '--out', out, '--work-dir', tmp_path / 'runs')
    found = json.loads(out.read_text())
    assert found['runs'] == done and missing not in found['runs']
    assert found['planned'] == len(done) + 1


@pytest.mark.parametrize('words, message', [
    (('--jobs', 0), '--jobs=0'),
    (('--epochs', 6), '--epochs=6: expected a multiple of 4'),
    (('--report-only', '--checks-only', '--seeds', 0), 'no run is done yet'),
    (('--seeds', 1, 1), 'expected different ones'),
    (('--seeds', 2**32), '2\\*\\*32 - 1'),
    (('--out', 'x.csv'), "out='x.csv': expected a name"),
    (('--work-dir', __file__), '--work-dir: .*cannot be made'),
])
def test_bad_arguments(compare, monkeypatch, tmp_path, words, message):
    """Oracle: the argument and its value, before anything is trained."""
    monkeypatch.setattr(sys, 'argv', [
        'compare.py', '--out',
        str(tmp_path / 'c.json'), '--work-dir',
        str(tmp_path / 'runs'), *map(str, words)
    ])
    monkeypatch.setattr(compare, 'do_all', None)
    with pytest.raises(InputError, match=message):
        compare.main()


def test_origin(compare):
    """Oracle: the arguments, torch's own version, and JSON takes all of it."""
    import argparse

    import torch
    found = compare.origin(
        argparse.Namespace(seeds=[0, 4, 5], epochs=12, methods=['pss']), 2)
    assert found['command'] == \
        'make compare SEEDS="0 4 5" EPOCHS=12 METHODS="pss"'
    assert found['versions']['torch'] == torch.__version__
    assert set(found['versions']) == set(compare.PACKAGES)
    assert found['machine']['cores'] >= 1 and found['machine']['cpu']
    settings = json.loads(json.dumps(found))['setting']
    assert settings['usnet']['train_cfg']['max_epochs'] == 12
