"""Starts tools/train.py on small data, ends it at any moment, and compares what
two trainings leave behind."""

import json
import os
import runpy
import signal
import sys
import time
import traceback
from pathlib import Path

import torch

from pss.apis import load_config
from tests.paths import ROOT
from tests.training import simplify

CONFIG = ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py'
# what a training logs just before its first iteration
BEGINS = 'Checkpoints will be saved'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader',
           'val_cfg.calibration_dataloader', 'test_cfg.calibration_dataloader',
           'test_cfg.selection_dataloader')


def options(data, batch_size=24):
    """--cfg-options that point the config at that folder. The training itself
    stays as shipped, including a worker process for the images."""
    words = [
        'val_cfg.calibration_batches=1', 'test_cfg.calibration_batches=1',
        'test_cfg.search=None', 'test_cfg.candidates=2',
        'default_hooks.logger.interval=5', 'optim_wrapper.optimizer.lr=0.01'
    ]
    for name in LOADERS:
        inner = 'dataset' if name == 'test_dataloader' else 'dataset.dataset'
        words += [
            f'{name}.{inner}.data_root={data}',
            f'{name}.batch_size={batch_size}'
        ]
    return words


def config_in(folder, small):
    """The path of the demo's config, or of a copy in that folder with a small
    network."""
    if not small:
        return CONFIG
    simplify(load_config(CONFIG)).dump(folder / 'small.py')
    return folder / 'small.py'


def start(config, work_dir, words, *arguments, **environment):
    """Starts a training in a forked process, which so has the imports of this
    one. Its output goes to ``WORK_DIR.log``.

    Args:
        config: its config.
        work_dir: its work directory.
        words: its --cfg-options.
        *arguments: others of tools/train.py.
        **environment: variables that it has besides those of this process.

    Returns:
        The process's number; it leads a process group.
    """
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    code = 1
    try:
        log = os.open(f'{work_dir}.log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(environment)
        sys.argv = [
            'train.py',
            str(config), '--work-dir',
            str(work_dir), *arguments, '--cfg-options', *words
        ]
        runpy.run_path(str(ROOT / 'tools' / 'train.py'), run_name='__main__')
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def end(pid, number=signal.SIGKILL):
    """Sends a signal to a training; SIGKILL goes to its workers too.

    Returns:
        The exit status, or minus the signal's number if the signal ended it.
    """
    if number == signal.SIGKILL:
        os.killpg(pid, number)
    else:
        os.kill(pid, number)
    return wait(pid)


def wait(pid):
    """Waits for a training and returns its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def has_ended(pid):
    """Whether a training has ended; :func:`wait` is still needed."""
    return bool(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))


def finish(pids, work_dir):
    """Waits for the processes of a training that nothing interrupts.

    Returns:
        The seconds from its first iteration to its end.

    Raises:
        AssertionError: if one of them fails; it ends the others.
    """
    log = Path(f'{work_dir}.log')
    left, failed, began = list(pids), False, None
    while left:
        time.sleep(0.01)
        if began is None and log.is_file() and BEGINS in log.read_text():
            began = time.monotonic()
        for pid in filter(has_ended, list(left)):
            left.remove(pid)
            failed |= wait(pid) != 0
        while failed and left:
            end(left.pop())
    assert not failed, log.read_text()[-5000:]
    return time.monotonic() - began


def differences(one, two):
    """The differences, bit by bit, between two values of a checkpoint."""
    if type(one) is not type(two):
        return [f': {type(one).__name__} and {type(two).__name__}']
    if isinstance(one, torch.Tensor):
        # as bytes, in which NaN equals itself
        same = (one.dtype, one.shape) == (two.dtype, two.shape) and torch.equal(
            *(t.contiguous().flatten().view(torch.uint8) for t in (one, two)))
        return [] if same else [': tensors differ']
    if isinstance(one, dict):
        if one.keys() != two.keys():
            return [f': keys {sorted(map(str, one.keys() ^ two.keys()))}']
        return [
            f'.{key}{text}' for key in one
            for text in differences(one[key], two[key])
        ]
    if isinstance(one, (list, tuple)):
        if len(one) != len(two):
            return [f': {len(one)} and {len(two)} entries']
        return [
            f'[{i}]{text}' for i, pair in enumerate(zip(one, two))
            for text in differences(*pair)
        ]
    return [] if one == two else [f': {one!r} and {two!r}']


def compare_trainings(whole, resumed, checkpoint):
    """The differences between two trainings: weights, optimizer, schedules,
    pools, logged scalars except times, results and banks."""
    found = []
    states = [
        torch.load(folder / checkpoint, weights_only=True)
        for folder in (whole, resumed)
    ]
    for state in states:
        scalars = state['message_hub']['log_scalars']
        for name in list(scalars):
            if name.rpartition('/')[2] in ('time', 'data_time', 'memory'):
                del scalars[name]
    for key in ('state_dict', 'optimizer', 'param_schedulers', 'pss_pools',
                'pss_progress'):
        found += [
            f'{key}{text}'
            for text in differences(states[0][key], states[1][key])
        ]
    found += [
        f'log{text}'
        for text in differences(*(state['message_hub']['log_scalars']
                                  for state in states))
    ]
    found += [
        f'results{text}'
        for text in differences(*(json.loads((folder /
                                              'results.json').read_text())
                                  for folder in (whole, resumed)))
    ]
    names = [{path.name
              for path in (folder / 'bank').iterdir()}
             for folder in (whole, resumed)]
    if names[0] != names[1] or not names[0]:
        found.append(f'bank: {names}')
    for name in names[0] & names[1]:
        if (whole / 'bank' / name).read_bytes() != \
                (resumed / 'bank' / name).read_bytes():
            found.append(f'bank/{name}')
    return found
