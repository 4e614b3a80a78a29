from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from mmpretrain.registry import TRANSFORMS

from pss.apis import AdaptiveClassifier
from pss.deploy import BankHook, extracted_config, read_bank
from pss.errors import InputError

from ..searching import search_config
from ..training import train


@pytest.fixture
def trained(tiny_config):
    tiny_config.default_hooks.bank = dict(type='pss.BankHook')
    tiny_config.test_cfg.candidates = 2
    return train(tiny_config)


def test_training_ends_with_a_bank(trained):
    """Oracle: the test loop's results, and the supernet's predictions with
    its own statistics on every test image."""
    bank = read_bank(Path(trained.work_dir, 'bank'))
    loop = trained.test_loop
    results, model = loop.results, loop.model
    rows = [results['smallest'], *results['pools'], results['largest']]
    assert len(bank.kept) == len(rows) > 3
    for kept, row in zip(bank.kept, rows):
        assert kept.subnet.as_dict() == row['subnet']
        assert kept.costs == dict(flops=row['mflops'])
        assert kept.held_out_accuracy == row['held_out_top1']
        assert kept.test_accuracy == row['top1']
        assert (kept.resource, kept.level) == (row.get('resource'),
                                               row.get('level'))
    assert bank.resources == dict(flops='MFLOPs') and bank.metric == 'top1'
    assert bank.classes[9] == 'Ankle boot' and len(bank.classes) == 10
    assert bank.pipeline == [dict(type='PackInputs')]
    assert bank.input_shape == (3, 28, 28)

    net = AdaptiveClassifier(Path(trained.work_dir, 'bank'))
    dataset = loop.dataloader.dataset
    images = [dataset.get_data_info(i)['img'] for i in range(len(dataset))]
    data = model.data_preprocessor(
        dict(inputs=[dataset[i]['inputs'] for i in range(len(dataset))]))
    model.eval()
    for kept in bank.kept:
        net.switch(kept)
        model.switch_to(kept.subnet, loop.statistics[kept.subnet])
        with torch.no_grad():
            wanted = model(data['inputs']).softmax(1)
        found = net.predict(images)
        for one, other in zip(found, wanted):
            torch.testing.assert_close(
                torch.from_numpy(one['pred_scores']), other, atol=1e-5, rtol=0)


def test_training_ends_with_a_search(searchable):
    """Oracle: the test loop's results."""
    bank = read_bank(searchable.work / 'bank')
    results = searchable.loop.results
    rows = [results['smallest'], *results['pools'], results['largest']]
    assert [kept.subnet.as_dict()
            for kept in bank.kept] == [row['subnet'] for row in rows]
    assert [kept.held_out_accuracy
            for kept in bank.kept] == [row['held_out_top1'] for row in rows]


def bank_config(searchable, work_dir, **changes):
    """A config of the small supernet, with a bank at the end of training."""
    return search_config(
        searchable.data, work_dir, **{
            'default_hooks.bank': dict(type='pss.BankHook'),
            'train_cfg.max_epochs': 1,
            **changes
        })


@pytest.mark.parametrize('changes, words', [
    ({
        'test_cfg.selection_dataloader.dataset.every': 20
    }, 'test_cfg.selection_dataloader: 30 held-out images cannot rank'),
    ({
        'test_cfg.search.budgets': dict(flops=[7])
    }, 'test_cfg.search.budgets: flops 7: expected'),
    ({
        'test_cfg.search.budgets': dict(latency=[7])
    }, "test_cfg.search.budgets: unknown key 'latency'"),
    ({
        'test_cfg.metric': 'f1-score'
    }, "test_cfg.metric='f1-score': a search"),
])
def test_what_a_search_needs_is_checked_before_training(searchable, tmp_path,
                                                        changes, words):
    """Oracle: the message, and no checkpoint."""
    config = bank_config(searchable, tmp_path / 'work', **changes)
    with pytest.raises(InputError, match=f'^{words}'):
        train(config)
    assert not list((tmp_path / 'work').glob('*.pth'))


def test_without_a_bank_nothing_is_searched(searchable, tmp_path):
    """Oracle: a checkpoint, although there are too few held-out images."""
    config = bank_config(
        searchable, tmp_path / 'work', **{
            'default_hooks.bank.after_training': False,
            'test_cfg.selection_dataloader.dataset.every': 20
        })
    train(config)
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()


@pytest.mark.parametrize('search', [True, False])
def test_empty_pools_at_the_end_of_training(searchable, tmp_path, search):
    """Oracle: a search needs no pools, so there is a bank; without one the log
    says why there is none."""
    config = bank_config(searchable, tmp_path / 'work', log_level='INFO')
    # runs of one name and second would share a log file
    config.experiment_name = f'search_{search}'
    config.test_cfg.search = dict(candidates=4) if search else None
    runner = Runner.from_cfg(config)
    runner.call_hook('before_run')
    for pool in runner.test_loop.sampler_hook.sampler.pools:
        assert not len(pool)
    hook, = [h for h in runner.hooks if isinstance(h, BankHook)]
    hook.after_train(runner)
    assert (tmp_path / 'work' / 'bank' / 'bank.json').is_file() == search
    log, = (tmp_path / 'work').glob('*/*.log')
    assert ('the sampler has no subnet to choose' in log.read_text()) != search


def test_a_bank_without_what_only_training_needs(searchable, tmp_path):
    """Oracle: the bank's config names no distillation, and it is read; the
    training's loss is another one."""
    config = bank_config(
        searchable, tmp_path / 'work',
        **{'model.distillation': dict(type='pss.AlphaDivergence', clip=4.)})
    runner = train(config)
    assert runner.model.divergence.clip == 4.
    folder = tmp_path / 'work' / 'bank'
    assert 'distillation' not in (folder / 'bank.json').read_text()
    assert AdaptiveClassifier(folder).subnets
    subnet = runner.model.search_space.smallest
    assert 'distillation' not in extracted_config(config.model, runner.model,
                                                  subnet)


def test_without_a_test_loop_training_says_so(tiny_config, caplog):
    """Oracle: no bank; the log says why."""
    tiny_config.default_hooks.bank = dict(type='pss.BankHook')
    tiny_config.test_dataloader = tiny_config.test_cfg = None
    tiny_config.test_evaluator = None
    runner = train(tiny_config, **{'train_cfg.max_epochs': 1})
    assert not Path(runner.work_dir, 'bank').exists()
    logs = list(Path(runner.work_dir).glob('*/*.log'))
    assert 'No bank is written' in logs[0].read_text()


@TRANSFORMS.register_module()
class Unlisted:
    """A transform that is on no list."""

    def __call__(self, results):
        return results


@pytest.mark.parametrize('strict', [False, True])
def test_configs_that_no_bank_can_hold(tiny_config, strict):
    """Oracle: the type, in the log before and after the training; if strict, in
    an error before it."""
    tiny_config.default_hooks.bank = dict(type='pss.BankHook', strict=strict)
    tiny_config.test_dataloader.dataset.pipeline.insert(0,
                                                        dict(type='Unlisted'))
    tiny_config.test_cfg.candidates = 1
    changes = {'train_cfg.max_epochs': 1}
    if strict:
        with pytest.raises(InputError, match='Unlisted'):
            train(tiny_config, **changes)
        return
    runner = train(tiny_config, **changes)
    log = next(Path(runner.work_dir).glob('*/*.log')).read_text()
    assert log.count('No bank can be written: ') == 2
    assert runner.test_loop.results['largest']['top1'] >= 0
    assert not Path(runner.work_dir, 'bank').exists()


@pytest.mark.parametrize('samples', [-1, 1.5, True, 'x'])
def test_bad_samples(samples):
    """Oracle: the field, its value, what was expected."""
    with pytest.raises(InputError, match='samples=.*at least 0'):
        BankHook(samples=samples)
