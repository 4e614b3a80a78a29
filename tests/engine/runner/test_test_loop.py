import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from pss.apis import load_config
from pss.engine import PSSSamplerHook
from pss.errors import InputError
from pss.models import calibrate
from pss.structures import Subnet

from ...paths import ROOT
from ...training import shrink, train


def test_loop(config):
    """Runs the test loop on the newest checkpoint of a config's folder."""
    config = copy.deepcopy(config)
    config.load_from = str(Path(config.work_dir) / 'epoch_3.pth')
    runner = Runner.from_cfg(config)
    return runner, runner.test()


test_loop.__test__ = False


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
    runner, metrics = test_loop(trained)
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
    """Oracle: the first run's results."""
    first = test_loop(trained)[0].test_loop.results
    torch.rand(7)  # other random states must not matter
    assert test_loop(trained)[0].test_loop.results == first


def test_every_image_is_loaded_once(trained, monkeypatch):
    """Oracle: the sizes of the sets, whatever the number of subnets."""
    from mmengine.dataset import BaseDataset
    loaded = []
    prepare = BaseDataset.prepare_data
    monkeypatch.setattr(
        BaseDataset, 'prepare_data', lambda self, i: (loaded.append(
            (id(self), i)), prepare(self, i))[1])
    runner, _ = test_loop(trained)
    # 10 held out of 120; 30 test images; 2 batches of 18 for calibration
    assert len(loaded) == 10 + 30 + 36
    assert len(set(loaded)) == len(loaded)


def test_held_out_images_are_never_trained_on(tiny_config):
    """Oracle: the two sets of images, as bytes."""
    runner = Runner.from_cfg(tiny_config)
    sets = []
    for loader in (tiny_config.train_dataloader, tiny_config.val_dataloader,
                   tiny_config.test_cfg.selection_dataloader,
                   tiny_config.test_cfg.calibration_dataloader):
        dataset = runner.build_dataloader(loader).dataset
        sets.append({
            dataset.get_data_info(i)['img'].tobytes()
            for i in range(len(dataset))
        })
    trained_on, validation, selection, calibration = sets
    assert len(trained_on) == 110 and len(validation) == 10
    assert not trained_on & validation
    assert validation == selection and trained_on == calibration


def test_validation_of_pools(tiny_config):
    """Oracle: names of the pools that have an entry."""
    runner = train(tiny_config, **{'val_cfg.pools': True})
    metrics = runner.val_loop.run()
    hook = next(h for h in runner.hooks if isinstance(h, PSSSamplerHook))
    assert {name.split('/')[0]
            for name in metrics} == {
                'largest', 'smallest',
                *(str(p.budget) for p in hook.sampler.pools if len(p))
            }


def test_empty_pools_are_an_error(tiny_config):
    """Oracle: the hook's name in the message."""
    runner = Runner.from_cfg(tiny_config)
    with pytest.raises(InputError, match='no subnets in its pools'):
        runner.test()


def test_a_missing_sampler_hook_is_an_error(tiny_config):
    """Oracle: the hook's name in the message."""
    del tiny_config.default_hooks.pss_sampler
    runner = Runner.from_cfg(tiny_config)
    with pytest.raises(InputError, match='pss.PSSSamplerHook'):
        runner.test()


def test_other_metrics_of_mmpretrain(trained):
    """Oracle: mmpretrain's precision of the largest subnet's predictions; a
    metric that the evaluator does not give is named."""
    trained.test_evaluator = dict(
        type='SingleLabelMetric', items=('precision', 'f1-score'))
    trained.test_cfg.metric = 'f1-score'
    runner, metrics = test_loop(trained)
    results = runner.test_loop.results
    assert {'precision', 'f1-score',
            'held_out_f1-score'} <= set(results['largest'])
    assert metrics['largest/f1-score'] == results['largest']['f1-score']
    trained.test_cfg.metric = 'top1'
    with pytest.raises(InputError, match="metric='top1'.*f1-score"):
        test_loop(trained)


@pytest.mark.parametrize('method', ['usnet', 'mutualnet'])
def test_kept_subnets_of_the_baselines(tiny_fashion_mnist, tmp_path, method):
    """Oracle: every pair of multiplier and resolution of a budget calibrated
    and evaluated alone on the held-out images: US-Net's only one, MutualNet's
    best. The loop evaluates the same images in the same way."""
    config = shrink(
        load_config(ROOT / 'configs' / f'{method}_mbv2_fashion_mnist.py'),
        tiny_fashion_mnist, tmp_path / 'work')
    config.default_hooks.pss_sampler.budgets.flops = dict(
        start=10, stop=19, step=3)
    train(config)
    runner, metrics = test_loop(config)
    loop = runner.test_loop
    sampler = loop.sampler_hook.sampler
    candidates = sampler.candidates(1)
    assert [row['level'] for row in loop.results['pools']
            ] == [budget.level for budget in candidates] == [10, 13, 16, 19]
    assert len(candidates) * (1 if method == 'usnet' else 5) <= \
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


@pytest.mark.parametrize('key, value', [('calibration_batches', 0),
                                        ('calibration_batches', True),
                                        ('calibration_batches', 1.5),
                                        ('metric', 3), ('fp16', 'no'),
                                        ('amp', 'float8')])
@pytest.mark.parametrize('mode', ['val', 'test'])
def test_bad_arguments(tiny_config, mode, key, value):
    """Oracle: field and value in the message, as the config has them."""
    tiny_config[f'{mode}_cfg'][key] = value
    runner = Runner.from_cfg(tiny_config)
    name = key if key == 'amp' else rf'{mode}_cfg\.{key}'
    with pytest.raises(InputError, match=rf'^{name}={value!r}: expected'):
        getattr(runner, f'{mode}_loop')


@pytest.mark.parametrize('name, value',
                         [('test_cfg.candidates', 0),
                          ('test_cfg.candidates', '5'), ('val_cfg.pools', 1),
                          ('val_cfg.ranked_pools', -1),
                          ('val_cfg.ranked_members', 1),
                          ('test_dataloader.batch_size', 0),
                          ('val_dataloader.num_workers', -1),
                          ('test_cfg.selection_dataloader.batch_size', 2.),
                          ('val_cfg.calibration_dataloader.batch_size', -3)])
def test_bad_values_of_one_loop(tiny_config, name, value):
    """Oracle: field and value in the message."""
    tiny_config.merge_from_dict({name: value})
    runner = Runner.from_cfg(tiny_config)
    with pytest.raises(InputError, match=rf'^{name}={value!r}: expected'):
        getattr(runner, f'{name.split("_")[0]}_loop')


def test_calibration_without_a_batch(tiny_config):
    """Oracle: the field in the message; the batch would be larger than the
    110 images."""
    tiny_config.test_cfg.calibration_dataloader.update(
        batch_size=111, drop_last=True)
    loop = Runner.from_cfg(tiny_config).test_loop
    with pytest.raises(InputError, match='calibration_dataloader: .*no batch'):
        loop.calibrate([loop.model.search_space.smallest])


def test_a_metric_that_is_no_number(tiny_config):
    """Oracle: neither better nor worse than any other: the field's name."""
    loop = Runner.from_cfg(tiny_config).test_loop
    assert loop.metric_of({'accuracy/top1': 3.}) == 3.
    with pytest.raises(InputError, match="test_cfg.metric='top1'.* nan"):
        loop.metric_of({'accuracy/top1': float('nan')})


def test_labels_beyond_the_classes(tiny_config):
    """Oracle: the data has labels up to 9; field and numbers in the message,
    for training and for each loop, before anything is loaded."""
    tiny_config.model.head.num_classes = 5
    runner = Runner.from_cfg(tiny_config)
    for name, field in (('val_loop', 'val_dataloader'), ('test_loop',
                                                         'test_dataloader')):
        with pytest.raises(
                InputError,
                match=f'^{field}: image .*gt_label=[5-9'
                ']: expected 0 to 4, since .*num_classes=5'):
            getattr(runner, name)
    with pytest.raises(InputError, match='^train_dataloader: image .*gt_label'):
        runner.train()


@pytest.fixture
def images_config(tiny_imagenet, tmp_path):
    """The demo's config on JPEG files: one list of images for each loader."""
    config = load_config(ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py')
    shrink(config, tmp_path, tmp_path / 'work', batch_size=4)
    names = (tiny_imagenet / 'meta' / 'train.txt').read_text().splitlines()
    names = [line.split()[0] for line in names]
    loaders = dict(
        train_dataloader=config.train_dataloader,
        val_dataloader=config.val_dataloader,
        test_dataloader=config.test_dataloader)
    loaders.update({
        f'test_cfg.{key}': config.test_cfg[key]
        for key in ('calibration_dataloader', 'selection_dataloader')
    })
    loaders['val_cfg.calibration_dataloader'] = \
        config.val_cfg.calibration_dataloader
    for field, loader in loaders.items():
        copies = tmp_path / field
        copies.mkdir()
        for i, name in enumerate(names[:8]):
            (copies / f'{i}.JPEG').write_bytes(
                (tiny_imagenet / 'train' / name).read_bytes())
        (copies / 'list.txt').write_text(''.join(f'{i}.JPEG {i}\n'
                                                 for i in range(8)))
        loader.dataset = dict(
            type='CustomDataset',
            data_root=str(copies),
            ann_file='list.txt',
            data_prefix='',
            metainfo=dict(classes=tuple('abcdefghij')),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='Resize', scale=28),
                dict(type='PackInputs')
            ])
    config.train_cfg.max_epochs = 1
    return config


@pytest.mark.parametrize('field, workers',
                         [('train_dataloader', 0), ('train_dataloader', 1),
                          ('val_cfg.calibration_dataloader', 0),
                          ('test_cfg.selection_dataloader', 1),
                          ('test_dataloader', 0)])
def test_a_damaged_image(images_config, tmp_path, monkeypatch, field, workers):
    """Oracle: one line: the field and the file, wherever it is loaded."""
    # the config in MMEngine's log takes most of the time
    monkeypatch.setattr(Config, 'pretty_text', property(lambda self: ''))
    path = tmp_path / field / '5.JPEG'
    path.write_bytes(path.read_bytes()[:2000])
    part = images_config
    for key in field.split('.'):
        part = part[key]
    part.num_workers = workers
    images_config.val_cfg.calibration_batches = 2  # all images
    runner = Runner.from_cfg(images_config)
    with pytest.raises(InputError) as error:
        if field == 'train_dataloader':
            runner.train()
        loop = getattr(runner, f'{field[:4].rstrip("_")}_loop')
        if 'calibration' in field:
            loop.calibrate([loop.model.search_space.smallest])
        loop.evaluate({},
                      loop.selection_dataloader
                      if 'selection' in field else loop.dataloader,
                      'images',
                      hooks=False)
    assert str(error.value).startswith(f'{field}: {path}: ')
    assert '\n' not in str(error.value)
