import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pss.engine import PoolLogHook, PSSSamplerHook
from pss.engine.hooks.pss_sampler_hook import training_progress
from pss.errors import InputError
from pss.evaluation import plot_pools, read_pool_log
from pss.registry import HOOKS

from ...training import train

POOLS = ('pool_fill/', 'pool_best/', 'pool_churn/', 'pool_entropy/',
         'agreement/')


def logged(folder):
    """What the latest run logged about pools, by step."""
    path = sorted(Path(folder).glob('*/vis_data/scalars.json'))[-1]
    lines = map(json.loads, path.read_text().splitlines())
    found = {}
    for line in lines:
        values = {k: v for k, v in line.items() if k.startswith(POOLS)}
        if values:
            found.setdefault(line['step'], {}).update(values)
    return found


@HOOKS.register_module()
class PoolSpy(PSSSamplerHook):
    """Computes by hand what should be logged."""

    def before_run(self, runner):
        super().before_run(runner)
        self.expected, self.known = {}, {}

    def after_train_iter(self, runner, *args, **kwargs):
        super().after_train_iter(runner, *args, **kwargs)
        step = runner.iter + 1
        if step % 4:
            return
        t = 0.01**training_progress(runner)
        row = self.expected[step] = {}
        for pool in self.sampler.pools:
            name = f'flops_{pool.budget.level:g}'
            row[f'pool_fill/{name}'] = len(pool) / 2
            if not len(pool):
                continue
            scores = pool.scores
            p = np.exp(np.array(list(scores.values())) / t)
            p /= p.sum()
            row[f'pool_best/{name}'] = max(scores.values())
            row[f'pool_entropy/{name}'] = -(p * np.log(p)).sum()
            new = set(scores) - self.known.get(name, set())
            row[f'pool_churn/{name}'] = len(new) / len(pool)
            self.known[name] = set(scores)


def test_what_is_logged(tiny_config):
    """Oracle: computed by another hook, with sets of subnets; none of it in the
    text log or the message hub."""
    tiny_config.default_hooks.pss_sampler.type = 'pss.PoolSpy'
    tiny_config.default_hooks.pss_sampler.sampler.pool_size = 2
    tiny_config.default_hooks.pool_log.interval = 4
    runner = train(tiny_config, train_cfg=dict(max_epochs=2))
    spy = next(h for h in runner.hooks if isinstance(h, PSSSamplerHook))
    found = logged(tiny_config.work_dir)
    assert sorted(found) == [4, 8, 12] == sorted(spy.expected)
    for step, row in spy.expected.items():
        assert found[step] == pytest.approx(row), step
    assert not any('pool_best' in key for key in runner.message_hub.log_scalars)
    text = next(Path(tiny_config.work_dir).glob('*/*.log')).read_text()
    assert 'pool_fill: ' in text and 'pool_fill/' not in text


def test_what_an_additive_score_logs(tiny_config):
    """Oracle: the score's own spread at the end; no entropy of draws that are
    not only from the pool; the plot shows it."""
    tiny_config.default_hooks.pss_sampler.sampler.score = dict(
        type='pss.AdditiveScore')
    tiny_config.default_hooks.pool_log.interval = 6
    runner = train(tiny_config)
    sampler = next(
        h.sampler for h in runner.hooks if isinstance(h, PSSSamplerHook))
    path = sorted(Path(tiny_config.work_dir).glob('*/vis_data/*.json'))[-1]
    rows = [
        row for row in map(json.loads,
                           path.read_text().splitlines()) if any(
                               key.startswith('pool_spread/') for key in row)
    ]
    assert [row['step'] for row in rows] == [6, 12, 18]
    assert not any(key.startswith('pool_entropy/') for key in rows[-1])
    for pool in sampler.pools:
        if len(pool):
            assert rows[-1][f'pool_spread/flops_{pool.budget.level:g}'] == \
                pytest.approx(sampler.score.spread(pool))
    assert read_pool_log([tiny_config.work_dir])['pool_spread']


def test_a_resumed_run_logs_the_same(tiny_config):
    """Oracle: the run that was not interrupted: every figure, bit for bit. The
    interval does not divide the epochs, so churn spans the interruption."""
    tiny_config.default_hooks.pool_log.interval = 4
    tiny_config.default_hooks.pss_sampler.sampler.pool_size = 1
    tiny_config.val_cfg.ranked_pools = 2
    train(tiny_config, train_cfg=dict(max_epochs=2))
    whole = logged(tiny_config.work_dir)
    assert {4, 8, 12} <= set(whole) <= {4, 6, 8, 12}
    resumed = tiny_config.work_dir + '_resumed'
    train(
        tiny_config,
        resume=True,
        work_dir=resumed,
        load_from=str(Path(tiny_config.work_dir) / 'epoch_1.pth'))
    again = logged(resumed)
    assert {8, 12} <= set(again)
    assert again == {step: whole[step] for step in again}
    churn = {v for k, v in whole[8].items() if 'churn' in k}
    assert churn == {0., 1.}


def test_agreement_at_each_validation(tiny_config, monkeypatch):
    """Oracle: scores and accuracies that agree in the first validation and are
    reversed in the second: 1 and -1, in each pool and over all; in the third
    all accuracies are equal: none. The log is read and drawn."""
    from pss.engine.runner.subnet_loop import SubnetLoop
    evaluate = SubnetLoop.evaluate
    rounds = []

    def by_score(self, statistics, *args, **kwargs):
        found = evaluate(self, statistics, *args, **kwargs)
        scores = {
            s: v
            for pool in self.sampler_hook.sampler.pools
            for s, v in pool.scores.items()
        }
        rounds.append(1)
        sign = (1, -1, 0)[len(rounds) - 1]
        return {s: {'accuracy/top1': sign * scores.get(s, 0.)} for s in found}

    monkeypatch.setattr(SubnetLoop, 'evaluate', by_score)
    tiny_config.default_hooks.pool_log.interval = 5
    runner = train(
        tiny_config, **{
            'val_cfg.ranked_pools': 11,
            'default_hooks.pss_sampler.budgets.flops':
            dict(_delete_=True, pools=2)
        })
    found = logged(tiny_config.work_dir)
    names = {
        f'agreement/flops_{p.budget.level:g}'
        for p in next(h for h in runner.hooks
                      if isinstance(h, PSSSamplerHook)).sampler.pools
    }
    for step, sign in ((6, 1), (12, -1)):
        assert 'agreement/all' in found[step]
        assert found[step] == pytest.approx(dict.fromkeys(found[step], sign))
    assert set(found[12]) == {*names, 'agreement/all'}
    text = next(Path(tiny_config.work_dir).glob('*/*.log')).read_text()
    assert 'pools/agreement: -1.0000' in text
    assert 18 not in found and 'pools/agreement: nan' in text
    log = read_pool_log([tiny_config.work_dir])
    assert [c.resource for c in log['agreement']] == ['all', 'flops', 'flops']
    assert log['agreement'][0][2:] == ([6, 12], pytest.approx([1, -1]))
    figure = Path(tiny_config.work_dir) / 'pools.png'
    plot_pools(log, figure)
    assert Image.open(figure).size[1] == 5 * 330


def test_tensorboard(tiny_config):
    """Oracle: TensorBoard's own reader; the values of the JSON log."""
    event_accumulator = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator')
    tiny_config.default_hooks.pool_log.interval = 3
    tiny_config.visualizer.vis_backends = [
        dict(type='LocalVisBackend'),
        dict(type='TensorboardVisBackend')
    ]
    train(
        tiny_config,
        train_cfg=dict(max_epochs=1),
        **{'val_cfg.ranked_pools': 4})
    folder = next(Path(tiny_config.work_dir).glob('*/vis_data'))
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    found = logged(tiny_config.work_dir)
    assert len(found[3]) >= 11
    for step, row in found.items():
        for name, value in row.items():
            values = {e.step: e.value for e in events.Scalars(name)}
            assert values[step] == pytest.approx(value)


@pytest.mark.parametrize('interval', [0, 1.5, True, 'often'])
def test_bad_interval(interval):
    """Oracle: field and value in the message."""
    with pytest.raises(InputError, match=f'interval={interval!r}'):
        PoolLogHook(interval)
