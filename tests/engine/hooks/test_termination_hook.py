import copy
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pss.apis import find_checkpoint, load_config
from pss.engine import Terminated, TerminationHook

from ...paths import ROOT
from ...stress.training import CONFIG, differences
from ...training import shrink, simplify, train
from ..conftest import load
from .conftest import At, train_with


class InValidation(At):
    """Calls a function after a batch of an epoch's validation."""

    def after_train_iter(self, runner, *args, **kwargs):
        """Does nothing."""

    def after_val_iter(self, runner, *args, **kwargs):
        if runner.epoch == self.iteration:
            self.action(runner)


@pytest.fixture(scope='module')
def whole(tiny_fashion_mnist, tmp_path_factory):
    """The folder of a run that was not stopped."""
    config = simplify(
        shrink(
            load_config(CONFIG), tiny_fashion_mnist,
            tmp_path_factory.mktemp('whole')))
    train(config)
    return config.work_dir


@pytest.mark.parametrize('hook, iterations', [(At, 4), (At, 6),
                                              (InValidation, 2)])
def test_stopping_and_going_on(tiny_config, whole, hook, iterations):
    """Oracle: the run that was not stopped, bit for bit; the status is the
    shell's for SIGTERM; the next regular checkpoint replaces the one written in
    between. Iteration 6 is the last of an epoch; the third run stops in the
    second validation."""
    former = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as stopped:
        train_with(
            copy.deepcopy(tiny_config),
            hook(iterations, lambda _: os.kill(os.getpid(), signal.SIGTERM)))
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == former
    done = 12 if hook is InValidation else iterations
    folder = Path(tiny_config.work_dir)
    for word in (f'after {done} iterations', 'interrupted.pth', '--resume'):
        assert word in stopped.value.message
    newest = find_checkpoint(folder)
    assert load(folder, newest)['meta']['iter'] == done
    assert (folder / 'interrupted.pth').is_file()
    train(tiny_config, resume=True, load_from=str(newest))
    one, two = (
        load(path, 'epoch_3.pth') for path in (whole, tiny_config.work_dir))
    for key in ('state_dict', 'optimizer', 'param_schedulers', 'pss_pools'):
        assert not differences(one[key], two[key])
    assert not (folder / 'interrupted.pth').exists()


def test_a_second_signal_does_not_wait():
    """Oracle: the former handler gets it."""
    seen = []
    former = signal.signal(signal.SIGTERM, lambda *_: seen.append('former'))
    try:
        hook = TerminationHook()
        hook.before_train(None)
        os.kill(os.getpid(), signal.SIGTERM)
        assert seen == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert seen == ['former']
    finally:
        signal.signal(signal.SIGTERM, former)


def test_gradients_that_are_accumulated_come_first(tiny_config):
    """Oracle: the optimizer step after the signal: with a step every 4
    iterations, a signal in the fifth stops after the eighth."""
    tiny_config.optim_wrapper.accumulative_counts = 4
    with pytest.raises(Terminated, match='143') as stopped:
        train_with(tiny_config,
                   At(5, lambda _: os.kill(os.getpid(), signal.SIGTERM)))
    assert 'after 8 iterations' in stopped.value.message


def test_a_signal_to_all_processes(tiny_config, tmp_path):
    """Oracle: SPEC: a checkpoint and the status, though the processes that load
    images get the signal too, as from Slurm and ``timeout``."""
    for name in ('train_dataloader', 'val_dataloader'):
        tiny_config[name].update(num_workers=2, persistent_workers=True)
    tiny_config.train_cfg.max_epochs = 1000
    tiny_config.default_hooks.logger.interval = 1
    path = tmp_path / 'workers.py'
    tiny_config.dump(path)
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(path)]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    with subprocess.Popen(
            command,
            env=environment,
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True) as process:
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if re.search(r'Epoch\(train\) +\[ *2\]', line):
                    break
            os.killpg(process.pid, signal.SIGTERM)
            lines += process.stdout
            assert process.wait(60) == 143, ''.join(lines[-20:])
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert 'interrupted.pth' in lines[-1]
    assert Path(tiny_config.work_dir, 'interrupted.pth').is_file()
