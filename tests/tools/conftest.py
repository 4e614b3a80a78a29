"""Shared by the tests of the tools: calling one, a checkpoint by one."""

import runpy
import subprocess
import sys

import pytest

from ..paths import ROOT
from ..training import forget_runs

DEMO = ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py'
IMAGENET = ROOT / 'configs' / 'pss_mbv2_imagenet.py'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader',
           'val_cfg.calibration_dataloader', 'test_cfg.calibration_dataloader',
           'test_cfg.selection_dataloader')


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs a tool in this process; returns its exit status and its output."""

    def run(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        monkeypatch.delenv('LOCAL_RANK', raising=False)
        forget_runs()
        code = 0
        try:
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        except SystemExit as end:
            code = end.code
            assert not isinstance(code, str)  # Python would exit with 1
        out = capsys.readouterr()
        return code or 0, out.out + out.err

    return run


@pytest.fixture
def refuse(monkeypatch, capsys, tmp_path):
    """Runs a tool in this process, in the test's folder; returns the line in
    which it refuses its arguments."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))

    def refuse(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        monkeypatch.delenv('LOCAL_RANK', raising=False)
        forget_runs()
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert end.value.code == 2, (captured.out[-500:], captured.err)
        assert 'Traceback' not in captured.out + captured.err
        assert lines[-1].isprintable()
        if lines[0].startswith('usage: '):  # argparse's own
            assert ': error: ' in lines[-1]
        else:
            said = [line for line in lines if line.startswith('error: ')]
            assert said == lines[-1:]
        return lines[-1]

    return refuse


def options(root, nested, batch_size=6, bank=False):
    """--cfg-options that point a config at tiny data; without a bank, which
    takes time, at the end of training unless requested."""
    inner = {True: 'dataset.dataset', False: 'dataset'}
    words = [
        '--cfg-options', 'train_cfg.max_epochs=1',
        'val_cfg.calibration_batches=1', 'test_cfg.calibration_batches=1',
        'test_cfg.search=None', 'train_cfg.val_interval=1',
        'default_hooks.logger.interval=1', 'optim_wrapper.optimizer.lr=0.01',
        f'default_hooks.bank.after_training={bank}'
    ]
    for name in LOADERS:
        held = inner[name != 'test_dataloader']
        words += [
            f'{name}.{held}.data_root={root}', f'{name}.num_workers=0',
            f'{name}.batch_size={batch_size}'
        ]
    return words


@pytest.fixture(scope='session')
def checkpoint(tiny_fashion_mnist, tmp_path_factory):
    """A checkpoint of the demo's config, trained by the tool."""
    folder = tmp_path_factory.mktemp('work')
    done = subprocess.run([
        sys.executable, 'tools/train.py', DEMO, '--work-dir', folder,
        *options(tiny_fashion_mnist, False, 27)
    ],
                          cwd=ROOT,
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / 'epoch_1.pth'
