from pathlib import Path

import pytest
import torch

from pss import files
from pss.apis import find_checkpoint
from pss.engine.checkpoints import read_checkpoint
from pss.errors import DivergedError, InputError

from ...training import train
from .conftest import At, train_with


def test_the_newest_are_kept(tiny_config):
    """Oracle: max_keep_ckpts, and MMEngine's pointer to the newest."""
    tiny_config.default_hooks.checkpoint.max_keep_ckpts = 2
    train(tiny_config)
    folder = Path(tiny_config.work_dir)
    assert sorted(p.name for p in folder.glob('*.pth*')) == [
        'epoch_2.pth', 'epoch_3.pth'
    ]
    assert Path((folder / 'last_checkpoint').read_text()) == \
        folder / 'epoch_3.pth'
    assert read_checkpoint(folder / 'epoch_3.pth')['meta']['iter'] == 18


def test_a_full_disk(tiny_config, monkeypatch):
    """Oracle: Linux's device that is always full: the error names file and
    reason, and the only checkpoint, outdated by then, is still there."""
    folder = Path(tiny_config.work_dir)
    tiny_config.default_hooks.checkpoint.max_keep_ckpts = 1

    def full(target):
        path = target.with_name(f'{target.name}.f.tmp')
        path.symlink_to('/dev/full')
        return path

    def fill(runner):
        monkeypatch.setattr(files, '_unused', full)

    with pytest.raises(InputError, match=r'epoch_2.pth.*No space left'):
        train_with(tiny_config, At(8, fill))
    assert [p.name for p in folder.glob('*.pth*')] == ['epoch_1.pth']
    assert find_checkpoint(folder).name == 'epoch_1.pth'
    read_checkpoint(folder / 'epoch_1.pth')


def test_weights_that_are_not_finite_are_not_written(tiny_config):
    """Oracle: iteration and weight in the message; the previous checkpoint."""

    def spoil(runner):
        runner.model.head.fc.weight.data[3, 4] = float('nan')

    with pytest.raises(DivergedError, match=r'iteration 1[23]: head.fc.weight'):
        train_with(tiny_config, At(12, spoil))
    folder = Path(tiny_config.work_dir)
    assert [p.name for p in folder.glob('*.pth*')] == ['epoch_1.pth']
    state = read_checkpoint(folder / 'epoch_1.pth')['state_dict']
    assert all(torch.isfinite(v).all() for v in state.values())


def test_leftovers_of_a_killed_run_go(tiny_config):
    """Oracle: the names in the folder."""
    folder = Path(tiny_config.work_dir)
    folder.mkdir()
    (folder / 'epoch_7.pth.123.tmp').write_bytes(b'half')
    train(tiny_config, train_cfg=dict(max_epochs=1))
    assert [p.name for p in folder.glob('*.pth*')] == ['epoch_1.pth']


def test_the_best(tiny_config, monkeypatch):
    """Oracle: the files written, each through a temporary one."""
    from pss import files
    written = []
    replace = Path.replace
    monkeypatch.setattr(
        files.Path, 'replace', lambda self, target:
        (written.append(Path(target).name), replace(self, target))[1])
    tiny_config.default_hooks.checkpoint.save_best = 'largest/top1'
    train(tiny_config, train_cfg=dict(max_epochs=1))
    best = 'best_largest_top1_epoch_1.pth'
    folder = Path(tiny_config.work_dir)
    assert sorted(p.name for p in folder.glob('*.pth')) == [best, 'epoch_1.pth']
    assert {best, 'epoch_1.pth', 'last_checkpoint'} <= set(written)
    assert find_checkpoint(folder).name == 'epoch_1.pth'
