"""The comparison of methods: what it trains, what it repeats, what it says."""

import json
import sys

import numpy as np
import pytest

from pss.engine.samplers import build_sampler, check_sampler
from pss.errors import InputError
from pss.registry import HOOKS, MODELS, check_config
from pss.resources import flops_table
from pss.structures import budgets_of

from ..paths import ROOT


@pytest.fixture
def compare(script):
    """The script's module."""
    return script('compare')


def test_runs(compare):
    """Oracle: four methods, the two with four passes once more at three
    quarters of the iterations, for each seed; five changed pieces for some."""
    runs = compare.runs_of([0, 3, 2], 600, 2)
    assert len(runs) == len({run.name for run in runs}) == 3 * 6 + 2 * 5
    passes = {(run.method, run.iterations * compare.PASSES[run.method])
              for run in runs}
    assert passes == {('pss', 1800), ('random', 1800), ('mutualnet', 2400),
                      ('usnet', 2400), ('mutualnet', 1800), ('usnet', 1800)}


def sampler_of(config, costs):
    """The sampler that a config asks for, with its pools."""
    hook = HOOKS.build(config.default_hooks.pss_sampler)
    return build_sampler(
        check_sampler(config.default_hooks.pss_sampler.sampler), costs.space,
        {'flops': costs}, hook.budgets['flops'])


def test_configs(compare):
    """Oracle: no unknown key; methods share everything but the space, the
    passes and the sampler; each changed piece is one option of the hook."""
    configs = {
        run.variant: compare.config_of(run)
        for run in compare.runs_of([1], 400, 1) if run.iterations == 400
    }
    whole = configs['pss'].to_dict()
    for variant, config in configs.items():
        check_config(config)
        found = config.to_dict()
        changed = {key for key in found if found[key] != whole[key]}
        assert changed <= {'model', 'optim_wrapper', 'default_hooks'}
        hooks = found['default_hooks']
        assert {k
                for k in hooks
                if hooks[k] != whole['default_hooks'][k]} <= {'pss_sampler'}
        assert found['optim_wrapper']['optimizer'] == \
            whole['optim_wrapper']['optimizer']
        hook = HOOKS.build(config.default_hooks.pss_sampler)
        assert hook.budgets == dict(flops=budgets_of('flops', 10, 19, 3))
        if variant.startswith('pss_'):
            assert changed == {'default_hooks'}
    costs = flops_table(MODELS.build(configs['pss'].model))
    samplers = {
        variant: sampler_of(config, costs)
        for variant, config in configs.items() if variant.startswith('pss')
    }
    assert [
        samplers[variant].pools[0].capacity
        for variant in ('pss', 'pss_pool_size_1', 'pss_pool_size_10')
    ] == [50, 1, 10]
    assert samplers['pss_momentum_0'].pools[0].momentum == 0
    start, ratio = (samplers['pss_p_constant'].p(x) for x in (0., 1.))
    ratio /= start
    mean = np.mean([samplers['pss'].p(x) for x in np.linspace(0, 1, 10_001)])
    assert (start, ratio) == (pytest.approx(mean, abs=1e-3), 1)
    scores = np.array([-0.2, -3.])
    t = samplers['pss_draw_uniform'].t(0.9)
    weights = np.exp(scores / t)
    assert weights / weights.sum() == pytest.approx([0.5, 0.5])


@pytest.fixture
def tiny(compare, monkeypatch, tiny_fashion_mnist):
    """The script with the tiny data."""
    load = compare.load_config

    def load_tiny(path):
        config = load(path)
        for loader in (config.train_dataloader, config.test_dataloader,
                       config.test_cfg.calibration_dataloader,
                       config.test_cfg.selection_dataloader):
            loader.num_workers = 0
            loader.batch_size = 30
            dataset = loader.dataset
            dataset = dataset.get('dataset', dataset)
            dataset.data_root = str(tiny_fashion_mnist)
        config.test_cfg.candidates = 1
        return config

    monkeypatch.setattr(compare, 'load_config', load_tiny)
    monkeypatch.setattr(compare, 'DRAWS', 1)
    monkeypatch.chdir(ROOT)
    return compare


def test_finished_runs_are_not_repeated(tiny, tmp_path, capsys):
    """Oracle: the files of real runs and when they were written; one that has
    another config now, or lacks a file, is repeated."""
    study = tiny.Study(tmp_path, 1)
    runs = [tiny.Run('pss', 'pss', 4, 0), tiny.Run('usnet', 'usnet', 4, 0)]
    tiny.do_all(study, runs, 1)
    out = capsys.readouterr().out
    assert '0 of 2 runs are done' in out and '[2/2] usnet' in out
    assert 'left' in out
    first, second = (study.entry(run) for run in runs)
    assert first['passes'] == 3 and second['passes'] == 4
    assert 0 < first['train_seconds'] < first['seconds']
    assert [row['level'] for row in second['results']['pools']] == \
        [10, 13, 16, 19]
    assert 1 <= len(first['ranks']['pools']) <= 4 and 'ranks' not in second

    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.json')}
    tiny.do_all(study, runs, 1)
    assert '2 of 2 runs are done' in capsys.readouterr().out
    assert written == {
        p: p.stat().st_mtime_ns
        for p in tmp_path.rglob('*.json')
    }
    (tmp_path / runs[0].name / 'ranks.json').unlink()
    assert [study.is_done(run) for run in runs] == [False, True]
    config = tmp_path / f'{runs[1].name}.py'
    config.write_text(config.read_text().replace('lr=0.01', 'lr=0.02'))
    assert not study.is_done(runs[1])


def test_a_run_that_fails_stops_all(tiny, tmp_path, monkeypatch):
    """Oracle: the command, its status and its log in the message."""
    monkeypatch.setattr(tiny, 'setting',
                        lambda iterations: dict(train_cfg=dict(max_epochs=0.5)))
    run = tiny.Run('random', 'random', 4, 0)
    with pytest.raises(InputError, match=r'random_4_seed0.*status.*\.log'):
        tiny.do_all(tiny.Study(tmp_path, 1), [run], 1)
    assert not tiny.Study(tmp_path, 1).is_done(run)


@pytest.mark.parametrize('words, message', [
    (('--iters', 3), '--iters=3'),
    (('--jobs', 0), '--jobs=0'),
    (('--piece-seeds', -1), '--piece-seeds=-1'),
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
        argparse.Namespace(seeds=[0, 4, 5], piece_seeds=2, iters=80), 2)
    assert found['command'] == 'make compare SEEDS="0 4 5" ITERS=80'
    assert found['piece_seeds'] == [0, 4]
    assert found['versions']['torch'] == torch.__version__
    assert set(found['versions']) == set(compare.PACKAGES)
    assert found['machine']['cores'] >= 1 and found['machine']['cpu']
    assert json.loads(
        json.dumps(found))['setting']['train_cfg']['max_iters'] == 80
