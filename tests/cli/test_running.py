"""Messages and exit statuses of the tools, whatever ends them."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from pss.apis import build_runner
from pss.engine import Terminated
from pss.errors import DivergedError, InputError

from ..paths import ROOT
from .conftest import fail


@pytest.mark.parametrize(
    'error, status, message',
    [(InputError('a=1: expected 2'), 2, 'error: a=1: expected 2'),
     (InputError('a=\x1b[31m\n'), 2, 'error: a=\\x1b[31m\\n'),
     (FileNotFoundError(2, 'No such file or directory',
                        'a.py'), 2, 'error: a.py: No such file or directory'),
     (OSError(28, 'No space left on device'), 2,
      'error: [Errno 28] No space left on device'),
     (FileNotFoundError('MMEngine did not find it'), 2,
      'error: MMEngine did not find it'),
     (DivergedError('iteration 2: nan'), 3, 'error: iteration 2: nan'),
     (Terminated('stopped'), 143, 'stopped'),
     (KeyboardInterrupt(), 130, 'interrupted'),
     (MemoryError(), 1, 'error: out of memory (MemoryError)'),
     (torch.cuda.OutOfMemoryError('CUDA out of memory. Tried 2 GiB\nMore'), 1,
      'error: out of memory (OutOfMemoryError: CUDA out of memory. Tried '
      '2 GiB)')])
def test_known_errors(end, tmp_path, error, status, message):
    """Oracle: exit status and message, by hand; no log."""
    code, said = end(fail(error))
    assert (code, said) == (status, f'{message}\n')
    assert not list(tmp_path.iterdir())


class Wordless(Exception):
    """An exception whose message cannot be read."""

    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    'error, message',
    [(RuntimeError('first\nsecond'), 'RuntimeError: first'),
     (KeyError('a'), "KeyError: 'a'"),
     (KeyError('a sentence of many words'),
      'KeyError: a sentence of many words'),
     (TypeError('class `A` in pss/a.py: b is missing'), 'b is missing'),
     (ValueError('\x1b[31m'), 'ValueError: \\x1b[31m'),
     (AssertionError(), 'AssertionError'), (Wordless(), 'Wordless'),
     (ValueError('x' * 10_000), f'ValueError: {"x" * 500}...')])
def test_unknown_errors(end, tmp_path, error, message):
    """Oracle: status 1, the type and the first line of the message, and the
    name of a log whose traceback shows the line of this file that raised."""
    code, said = end(fail(error))
    log, = tmp_path.iterdir()
    assert code == 1
    assert said == f'error: {message} (the traceback is in {log})\n'
    assert 'Traceback' in log.read_text() and 'in main' in log.read_text()


class Damaged(Dataset):
    """A dataset whose images cannot be loaded."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.error


@pytest.mark.parametrize('error, status, message',
                         [(InputError('a.png: damaged'), 2, 'a.png: damaged'),
                          (ValueError('one\ntwo'), 1, 'two'),
                          (KeyError('img'), 1, "KeyError: 'img'")])
def test_failures_in_processes_that_load_data(end, error, status, message):
    """Oracle: the last line of the traceback that torch puts into its
    message."""
    code, said = end(
        lambda: next(iter(DataLoader(Damaged(error), num_workers=1))))
    assert code == status and said.startswith(f'error: {message}')
    assert said.count('\n') == 1


def test_only_the_first_process_speaks(end, monkeypatch, tmp_path):
    """Oracle: no output, the same exit status, and a log with the rank in its
    name."""
    monkeypatch.setenv('LOCAL_RANK', '1')
    assert end(fail(InputError('a'))) == (2, '')
    assert end(fail(RuntimeError('a'))) == (1, '')
    log, = tmp_path.iterdir()
    assert '_1_' in log.name


def test_parts_that_cannot_be_built_while_training(end, tiny_config):
    """Oracle: status 2 and the part, which the runner builds late."""
    tiny_config.train_cfg.type = 'NoSuchLoop'

    def main():
        build_runner(tiny_config).train()

    code, said = end(main)
    last = said.splitlines()[-1]
    assert code == 2 and last.startswith(
        'error: config: train_cfg: KeyError: NoSuchLoop is not in the ')
    assert str(Path(tiny_config.work_dir, 'error_')) in last


def test_logging_does_not_complain(end):
    """Oracle: the switch by which logging prints tracebacks on a full disk."""
    end(fail(InputError('a')))
    assert logging.raiseExceptions is False


SCRIPT = '''
import logging, sys
from pss.cli import (run)
def main():
    for _ in range(100_000):
        print('a line')
run(main)
'''


def test_nobody_reads_the_output():
    """Oracle: the shell's status for SIGPIPE, and no message."""
    tool = subprocess.Popen([sys.executable, '-c', SCRIPT],
                            cwd=ROOT,
                            stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE,
                            env=dict(
                                os.environ,
                                PYTHONPATH=str(ROOT),
                                PYTHONWARNINGS='ignore'))
    tool.stdout.readline()
    tool.stdout.close()
    said = tool.stderr.read().decode()
    assert (tool.wait(timeout=60), said) == (141, '')
