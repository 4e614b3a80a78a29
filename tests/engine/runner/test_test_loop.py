import copy
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from pss.apis import load_config
from pss.engine import PSSSamplerHook
from pss.errors import InputError
from pss.models import calibrate
from pss.structures import Subnet

from ...paths import ROOT
from ...training import shrink, train


def run_test(config):
    """Runs the test loop on the newest checkpoint of a config's folder."""
    config = copy.deepcopy(config)
    config.load_from = str(Path(config.work_dir) / 'epoch_3.pth')
    runner = Runner.from_cfg(config)
    return runner, runner.test()


@pytest.fixture
def trained(tiny_config):
    train(tiny_config)
    return tiny_config


def top1_by_hand(model, dataset, subnet, statistics):
    """Accuracy of one subnet, one image at a time."""
    correct = 0
    model.eval()
    model.switch_to(subnet, statistics)
    for i in range(len(dataset)):
        item = dataset[i]
        data = model.data_preprocessor(
            dict(inputs=[item['inputs']], data_samples=[item['data_samples']]))
        with torch.no_grad():
            label = model(data['inputs'])[0].argmax()
        correct += int(label == item['data_samples'].gt_label)
    return 100 * correct / len(dataset)


def test_results_equal_one_run_for_each_subnet(trained):
    """Oracle: each subnet alone: calibrated on the same batches, then one
    image after the other; and the choice among candidates made by hand."""
    runner, metrics = run_test(trained)
    loop = runner.test_loop
    results = loop.results
    model = loop.model
    hook = next(h for h in runner.hooks if isinstance(h, PSSSamplerHook))
    filled = [pool for pool in hook.sampler.pools if len(pool)]
    assert [row['level'] for row in results['pools']] == \
        [pool.budget.level for pool in filled]

    batches = []
    with torch.random.fork_rng():
        import random

        import numpy as np
        random.seed(0), np.random.seed(0), torch.manual_seed(0)
        loop.calibration_dataloader.sampler.set_epoch(0)
        for batch, _ in zip(loop.calibration_dataloader, range(2)):
            batches.append(model.data_preprocessor(batch)['inputs'])

    def alone(subnet, dataset):
        statistics = calibrate(model, [subnet], batches)[subnet]
        return top1_by_hand(model, dataset, subnet, statistics)

    space = model.search_space
    test_set = loop.dataloader.dataset
    held_out = loop.selection_dataloader.dataset
    for name, subnet in (('largest', space.largest), ('smallest',
                                                      space.smallest)):
        assert results[name]['subnet'] == subnet.as_dict()
        assert results[name]['top1'] == pytest.approx(alone(subnet, test_set))
        assert metrics[f'{name}/top1'] == results[name]['top1']
    for pool, row in list(zip(filled, results['pools']))[:4]:
        candidates = [s for s, _ in pool.best(5)]
        reached = [alone(s, held_out) for s in candidates]
        kept = candidates[reached.index(max(reached))]
        assert row['subnet'] == kept.as_dict()
        assert row['held_out_top1'] == pytest.approx(max(reached))
        assert row['top1'] == pytest.approx(alone(kept, test_set))
        assert row['mflops'] == pytest.approx(hook.costs['flops'](space.encode(
            [kept]))[0])
        assert row['score'] == pool.scores[kept]


def test_testing_twice_gives_the_same(trained):
    """Oracle: the results of the first run."""
    first = run_test(trained)[0].test_loop.results
    torch.rand(7)  # other random states must not matter
    assert run_test(trained)[0].test_loop.results == first


def test_empty_pools_are_an_error(tiny_config):
    """Oracle: the hook's name in the message."""
    runner = Runner.from_cfg(tiny_config)
    with pytest.raises(InputError, match='no subnets in its pools'):
        runner.test()


def test_other_metrics_of_mmpretrain(trained):
    """Oracle: mmpretrain's precision of the largest subnet's predictions; an
    error names a metric that the evaluator does not return."""
    trained.test_evaluator = dict(
        type='SingleLabelMetric', items=('precision', 'f1-score'))
    trained.test_cfg.metric = 'f1-score'
    runner, metrics = run_test(trained)
    results = runner.test_loop.results
    assert {'precision', 'f1-score',
            'held_out_f1-score'} <= set(results['largest'])
    assert metrics['largest/f1-score'] == results['largest']['f1-score']
    trained.test_cfg.metric = 'top1'
    with pytest.raises(InputError, match="metric='top1'.*f1-score"):
        run_test(trained)


@pytest.mark.parametrize('method', ['usnet', 'mutualnet'])
def test_kept_subnets_of_the_baselines(tiny_fashion_mnist, tmp_path, method):
    """Oracle: every pair of multiplier and resolution of a budget calibrated
    and evaluated alone on the held-out images: US-Net's only one, MutualNet's
    best. The loop evaluates the same images in the same way."""
    config = shrink(
        load_config(ROOT / 'configs' / f'{method}_mbv2_fashion_mnist.py'),
        tiny_fashion_mnist, tmp_path / 'work')
    config.default_hooks.pss_sampler.budgets.flops = dict(
        start=14, stop=15, step=0.5)
    train(config)
    runner, metrics = run_test(config)
    loop = runner.test_loop
    sampler = loop.sampler_hook.sampler
    candidates = sampler.candidates(1)
    assert [row['level'] for row in loop.results['pools']
            ] == [budget.level for budget in candidates] == [14, 14.5, 15]
    assert len(candidates) * (1 if method == 'usnet' else 3) <= \
        sum(map(len, candidates.values()))
    for row, (budget, found) in zip(loop.results['pools'], candidates.items()):
        assert 'score' not in row
        statistics = loop.calibrate([subnet for subnet, _ in found])
        alone = {
            s:
            top1_by_hand(loop.model, loop.selection_dataloader.dataset, s,
                         statistics[s])
            for s in statistics
        }
        kept = Subnet.from_dict(row['subnet'])
        assert row['held_out_top1'] == pytest.approx(max(alone.values()))
        assert row['held_out_top1'] == pytest.approx(alone[kept])
        assert budget.low <= row['mflops'] < budget.high
        assert metrics[f'{budget}/top1'] == row['top1']


def test_every_image_is_loaded_once(trained, monkeypatch):
    """Oracle: the sizes of the sets, whatever the number of subnets."""
    from mmengine.dataset import BaseDataset
    loaded = []
    prepare = BaseDataset.prepare_data
    monkeypatch.setattr(
        BaseDataset, 'prepare_data', lambda self, i: (loaded.append(
            (id(self), i)), prepare(self, i))[1])
    runner, _ = run_test(trained)
    # 10 held out of 120; 30 test images; 2 batches of 18 for calibration
    assert len(loaded) == 10 + 30 + 36
    assert len(set(loaded)) == len(loaded)
