import copy
import re
from pathlib import Path

import pytest
from mmengine.dataset import BaseDataset

from pss.apis import load_config
from pss.engine import SubnetValLoop
from pss.errors import InputError

from ...stress.training import CONFIG, differences
from ...training import shrink, simplify, train
from ..conftest import load

EVERY_4 = {
    'default_hooks.checkpoint.by_epoch': False,
    'default_hooks.checkpoint.interval': 4,
    'default_hooks.checkpoint.max_keep_ckpts': -1
}


@pytest.fixture(scope='module')
def finished(tiny_fashion_mnist, tmp_path_factory):
    """A run of 3 epochs of 6 iterations, with a checkpoint after every 4."""
    config = simplify(
        shrink(
            load_config(CONFIG), tiny_fashion_mnist,
            tmp_path_factory.mktemp('whole')))
    train(copy.deepcopy(config), **EVERY_4)
    return config


@pytest.fixture
def whole(finished, tmp_path):
    """The finished run's folder, and its config with another folder."""
    config = copy.deepcopy(finished)
    config.work_dir = str(tmp_path)
    config.merge_from_dict(EVERY_4)
    return Path(finished.work_dir), config


@pytest.mark.parametrize('iteration', [4, 12, 16])
def test_resuming_inside_an_epoch(whole, iteration):
    """Oracle: the uninterrupted run, bit for bit: weights, optimizer,
    schedules, pools. Images that were already trained on are not loaded again:
    18 in each remaining iteration; iteration 12 is the last of its epoch, but
    the epoch was not over."""
    folder, config = whole
    loaded = []
    prepare = BaseDataset.prepare_data

    def counting(self, index):
        if not self.test_mode:
            loaded.append(index)
        return prepare(self, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDataset, 'prepare_data', counting)
        runner = train(
            config,
            resume=True,
            val_cfg=None,
            val_dataloader=None,
            val_evaluator=None,
            load_from=str(folder / f'iter_{iteration}.pth'))
    assert len(loaded) == 18 * (18 - iteration)
    one, two = (load(path, 'iter_18.pth') for path in (folder, config.work_dir))
    for key in ('state_dict', 'optimizer', 'param_schedulers', 'pss_pools'):
        assert not differences(one[key], two[key])
    assert runner.iter == 18 and runner.epoch == 3


def test_a_validation_that_was_due_comes_first(tiny_config, monkeypatch):
    """Oracle: the epochs that are validated: the checkpoint at the end of an
    epoch is written before its validation."""
    validated = []
    run = SubnetValLoop.run
    monkeypatch.setattr(
        SubnetValLoop, 'run', lambda self:
        (validated.append(self.runner.epoch), run(self))[1])
    tiny_config.train_cfg.max_epochs = 2
    train(tiny_config)
    assert validated == [1, 2]
    for epoch in (1, 2):
        validated.clear()
        train(
            copy.deepcopy(tiny_config),
            resume=True,
            load_from=str(Path(tiny_config.work_dir, f'epoch_{epoch}.pth')),
            work_dir=tiny_config.work_dir + str(epoch))
        assert validated == [1, 2][epoch - 1:]


def test_another_batch_size(whole):
    """Oracle: the numbers in the message."""
    folder, config = whole
    config.train_dataloader.batch_size = 11
    with pytest.raises(InputError, match='4 of the 6 iterations.* 10 now'):
        train(config, resume=True, load_from=str(folder / 'iter_4.pth'))


def test_the_loop_of_mmengine(whole):
    """Oracle: it cannot start inside an epoch; the message names the loop that
    can."""
    folder, config = whole
    config.train_cfg.type = 'EpochBasedTrainLoop'
    with pytest.raises(InputError, match='pss.SupernetTrainLoop'):
        train(config, resume=True, load_from=str(folder / 'iter_4.pth'))


def test_the_seed_comes_from_the_checkpoint(whole):
    """Oracle: the run with the config's seed of 0; here the config has none, so
    that MMEngine draws one at the start."""
    folder, config = whole
    config.randomness = dict(seed=None)
    train(config, resume=True, load_from=str(folder / 'iter_8.pth'))
    one, two = (load(path, 'iter_18.pth') for path in (folder, config.work_dir))
    for key in ('state_dict', 'pss_pools'):
        assert not differences(one[key], two[key])


@pytest.mark.parametrize('key, value', [('max_epochs', 0), ('max_epochs', 2.),
                                        ('max_epochs', True),
                                        ('val_interval', 0),
                                        ('val_interval', '1'), ('val_begin', 0),
                                        ('dynamic_intervals', 3),
                                        ('dynamic_intervals', [[1, 2]])])
def test_bad_arguments(tiny_config, key, value):
    """Oracle: field and value in the message."""
    tiny_config.train_cfg[key] = value
    with pytest.raises(
            InputError,
            match=re.escape(f'train_cfg.{key}={value!r}: expected')):
        train(tiny_config)


def test_a_bad_interval_of_several(tiny_config):
    """Oracle: its place in the message."""
    tiny_config.train_cfg.dynamic_intervals = [(1, 2), (2, 0)]
    with pytest.raises(
            InputError,
            match=re.escape('train_cfg.dynamic_intervals[1][1]=0: expected')):
        train(tiny_config)


@pytest.mark.parametrize('size', [0, -2, True, 1.5])
def test_bad_batch_sizes(tiny_config, size):
    """Oracle: field and value in the message."""
    tiny_config.train_dataloader.batch_size = size
    with pytest.raises(
            InputError,
            match='train_dataloader.batch_size='
            f'{size!r}: expected an integer of at least 1'):
        train(tiny_config)


def test_an_epoch_without_an_iteration(tiny_config):
    """Oracle: batch size and number of images in the message: 110 of 120,
    which one batch may hold."""
    tiny_config.train_dataloader.batch_size = 111
    with pytest.raises(InputError, match='batch_size=111: .* 110 images'):
        train(tiny_config)
    tiny_config.train_dataloader.batch_size = 110
    assert train(tiny_config, **{'train_cfg.max_epochs': 1}).iter == 1
