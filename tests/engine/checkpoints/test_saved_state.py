import copy
from pathlib import Path

import pytest
import torch

from pss.apis import load_config
from pss.engine.checkpoints.saved_state import check_saved_state
from pss.errors import InputError

from ...stress.training import CONFIG
from ...training import shrink, simplify, train


@pytest.fixture(scope='module')
def finished(tiny_fashion_mnist, tmp_path_factory):
    """A run of one epoch: its config and its runner."""
    config = simplify(
        shrink(
            load_config(CONFIG), tiny_fashion_mnist,
            tmp_path_factory.mktemp('run')))
    config.train_cfg.max_epochs = 1
    return config, train(copy.deepcopy(config))


def read(config):
    return torch.load(Path(config.work_dir, 'epoch_1.pth'), weights_only=True)


def resume(config, checkpoint, folder):
    config = copy.deepcopy(config)
    torch.save(checkpoint, folder / 'epoch_1.pth')
    return train(
        config,
        resume=True,
        work_dir=str(folder),
        load_from=str(folder / 'epoch_1.pth'))


@pytest.mark.parametrize('path, value, words', [
    (('meta', 'epoch'), 1.5, 'meta.epoch is 1.5; expected int'),
    (('meta', 'iter'), -3, 'meta.iter is -3; expected at least 0'),
    (('meta', 'seed'), 'x', 'meta.seed is x'),
    (('optimizer', ), [], r'optimizer is \[\]; expected dict'),
    (('optimizer', 'param_groups'), [], 'param_groups is 0 entries'),
    (('optimizer', 'param_groups', 3, 'lr'), 'high', r'\[3\].lr is high'),
    (('optimizer', 'param_groups', 3, 'params'), [5], r'\[3\].params'),
    (('optimizer', 'state', 7), 'x', r'state\[7\] is x; expected a dict'),
    (('optimizer', 'state', 999), {}, r'state\[999\]'),
    (('optimizer', 'state', 7, 'momentum_buffer'), torch.zeros(
        2, 2), r'state\[7\].momentum_buffer is \(2, 2\); expected'),
    (('optimizer', 'state', 7, 'momentum_buffer'), torch.zeros(3).to_sparse(),
     r'state\[7\].momentum_buffer is a tensor of layout'),
    (('meta', 'seed'), 'a\n\x1b[31m', r"meta.seed is 'a\\n\\x1b"),
    pytest.param(('meta', 'iter'),
                 -10**5000,
                 'meta.iter is a very large int',
                 id='large'),
    (('param_schedulers', ), [], 'param_schedulers is 0 entries'),
    (('param_schedulers', 0, 'last_step'), [1], 'last_step is'),
    (('param_schedulers', 0, 'base_values'), [1.], 'a list of 18'),
    (('message_hub', 'log_scalars', 'train/loss'), 4,
     r"log_scalars\['train/loss'\] is 4"),
    (('message_hub', 'log_scalars', 'train/loss', 'counts'), torch.zeros(1),
     'counts is 1 entries; expected 6'),
    (('message_hub', 'runtime_info', 'keep_ckpt_ids'), 'abc', 'abc'),
    (('message_hub', 'resumed_keys', 'loop_stage'), [None], 'True or False'),
    (('optimizer', 'param_groups', 3, 'lr'), 1e300, 'that float32 can hold'),
    (('pss_progress', 'done'), 9, 'done is 9; expected 0 to 6'),
])
def test_wrong_entries_are_named(finished, path, value, words):
    """Oracle: the entry, its value and what was expected, in one error."""
    config, runner = finished
    checkpoint = read(config)
    check_saved_state(checkpoint, runner)
    entry = checkpoint
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    with pytest.raises(InputError, match=words):
        check_saved_state(checkpoint, runner)


@pytest.mark.parametrize(
    'key, value, words',
    [('pss_pools', [3], 'pools in the checkpoint are damaged'),
     ('optimizer', 3, 'optimizer is 3')])
def test_a_run_refuses_them(finished, tmp_path, key, value, words):
    """Oracle: the same error, from a run that resumes."""
    with pytest.raises(InputError, match=words):
        resume(finished[0], {**read(finished[0]), key: value}, tmp_path)


def test_a_config_in_a_checkpoint_is_not_run(finished, tmp_path):
    """Oracle: a file that the program in the entry would create. MMEngine's
    Runner reads meta.config, which it does not write, as a Python file."""
    proof = tmp_path / 'proof'
    checkpoint = read(finished[0])
    checkpoint['meta']['config'] = f'open({str(proof)!r}, "w").close()'
    assert resume(finished[0], checkpoint, tmp_path).epoch == 1
    assert not proof.exists()
