"""Shared by the tests of the tools: calling one, a checkpoint by one."""

import io
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from pss.apis import load_config

from ..paths import ROOT
from ..training import forget_runs, simplify

DEMO = ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py'
IMAGENET = ROOT / 'configs' / 'pss_mbv2_imagenet.py'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader',
           'val_cfg.calibration_dataloader', 'test_cfg.calibration_dataloader',
           'test_cfg.selection_dataloader')


@pytest.fixture(scope='session')
def call():
    """Runs a tool in this process; returns its exit status and its output."""

    def run(tool, *arguments):
        out, err = io.StringIO(), io.StringIO()
        forget_runs()
        code = 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), \
                redirect_stderr(err):
            patch.setattr(sys, 'argv', [tool, *map(str, arguments)])
            patch.delenv('LOCAL_RANK', raising=False)
            try:
                runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
            except SystemExit as end:
                code = end.code
                assert not isinstance(code, str)  # Python would exit with 1
        return code or 0, out.getvalue() + err.getvalue()

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
def small(tmp_path_factory):
    """The demo's config with a small network."""
    path = tmp_path_factory.mktemp('configs') / 'small.py'
    simplify(load_config(DEMO)).dump(path)
    return path


@pytest.fixture(scope='session')
def checkpoint(call, small, tiny_fashion_mnist, tmp_path_factory):
    """A checkpoint of the small network, trained by the tool."""
    folder = tmp_path_factory.mktemp('work')
    code, out = call('train.py', small, '--work-dir', folder,
                     *options(tiny_fashion_mnist, False, 27))
    assert code == 0, out[-2000:]
    return folder / 'epoch_1.pth'
