"""Running a command-line tool."""

import argparse
import logging
import os
import select
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, TextIO

import torch
from mmengine.config import Config, DictAction

from ..apis.adaptive_detector import check_detector
from ..checks import check_integer, shown
from ..config.checks import (
    LARGEST,
    check_data,
    check_sections,
    check_values,
    import_modules,
    name_of,
    need_fields,
)
from ..config.failures import built_part, is_out_of_memory, said, write_log
from ..engine import Terminated
from ..engine.precision import default_amp
from ..errors import DataError, DivergedError, InputError, printable
from ..registry import check_config
from .processes import NAMES, leave_processes


def run(main: Callable[[], None]) -> None:
    """Runs a tool and says in one line what ended it.

    The status is 2 for bad input, a config whose parts cannot be built and a
    disk or folder that cannot be written to; 3 for losses or weights that are
    not finite; 130 after Ctrl-C; 141 where nobody reads the output any more;
    143 after SIGTERM; and 1 for anything else. Tracebacks are written into a
    file, see :func:`.write_log`.

    Loading stays ``weights_only=True`` in all of it, also where MMEngine calls
    ``torch.load`` with an older torch, whose default is another.
    """
    os.environ.setdefault('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    # a log on a full disk would print a traceback for every line
    logging.raiseExceptions = False
    with suppress(AttributeError):  # names of files may not be UTF-8
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        main()
        leave_processes()
        sys.stdout.flush()
    except Terminated as end:
        _say(end.message)
        raise
    except KeyboardInterrupt:
        _say('interrupted')
        sys.exit(130)
    except Exception as error:
        sys.exit(_report(error))


def _report(error: Exception) -> int:
    """Says what ended a tool; gives its status."""
    if isinstance(error, BrokenPipeError) and _is_closed(sys.stdout):
        return 141  # the shell's for a process that SIGPIPE ended
    if isinstance(error, DivergedError):
        _say(f'error: {error}')
        return 3
    if isinstance(error, (OSError, DataError)) or \
            isinstance(error, InputError) and error.__cause__ is None:
        _say(f'error: {said(error)}', isinstance(error, DataError))
        return 2
    if is_out_of_memory(error):
        _say(f'error: out of memory ({said(error)})')
        return 1
    part = None if isinstance(error, InputError) else built_part(error)
    status = 2 if part is not None or isinstance(error, InputError) else 1
    where = '' if part is None else f'config: {part}: ' if part else 'config: '
    log = write_log(error, next(filter(None, _ranks()), ''))
    hint = '' if log is None else f' (the traceback is in {log})'
    _say(f'error: {where}{said(error)}{hint}')
    return status


def _is_closed(stream: TextIO) -> bool:
    """Whether nobody reads a stream any more. It then leads nowhere, so that
    Python does not complain when it ends."""
    poll = select.poll()
    poll.register(stream, select.POLLOUT)
    closed = any(event & (select.POLLERR | select.POLLHUP)
                 for _, event in poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return closed


def _ranks() -> List[str]:
    """This process's rank on its node, by each launcher, where it is not 0."""
    found = [os.environ.get(name, '0') for _, _, name in NAMES.values()]
    return [rank for rank in found if rank != '0']


def _say(message: str, alone: bool = False) -> None:
    """Prints a line, in the process that speaks for all of its node, or in
    any that ``alone`` knows it."""
    if alone or not _ranks():
        print(printable(message), file=sys.stderr)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that training and testing have in common.

    They are mmpretrain's.
    """
    parser.add_argument('--work-dir', help='the dir to save logs and models')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='enable automatic-mixed-precision, evaluation included (float16 '
        'on a GPU, bfloat16 on a CPU, if the config names no type)')
    parser.add_argument(
        '--no-pin-memory',
        action='store_true',
        help='whether to disable the pin_memory option in dataloaders.')
    add_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', *NAMES],
        default='none',
        help='job launcher')
    # torch.distributed.launch passes --local-rank
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


class _Options(DictAction):
    """MMEngine's action for ``KEY=VALUE``, which says what it cannot read."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Reads the words after the option."""
        for word in values:
            name, _, value = word.partition('=')
            if not value or not all(name.split('.')) or \
                    set(name) & set('[](){} '):
                raise argparse.ArgumentError(
                    self, f'{shown(word)}: expected KEY=VALUE, such as '
                    "train_cfg.max_epochs=3, param_scheduler.0.end=50 or "
                    "default_scope=None")
            try:
                super().__call__(parser, namespace, [word], option_string)
            except Exception as error:
                raise argparse.ArgumentError(
                    self, f'{shown(word)}: {said(error)}') from None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
        help='override some settings in the used config, the key-value pair '
        'in xxx=yyy format will be merged into config file. If the value to '
        'be overwritten is a list, it should be like key="[a,b]" or key=a,b '
        'It also allows nested list/tuple values, e.g. key="[(a,b),(c,d)]" '
        'Note that the quotation marks are necessary and that no white space '
        'is allowed.')


def merge_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Merges those arguments into a config, ``--cfg-options`` first."""
    check_integer('--local-rank', args.local_rank, 0, LARGEST)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    merge_options(cfg, args.cfg_options)
    cfg.launcher = args.launcher
    # work_dir is determined in this priority: CLI > config > file name
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('./work_dirs', Path(args.config).stem)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(name) is not None:
            pin_memory = not args.no_pin_memory and torch.cuda.is_available()
            cfg[name].setdefault('pin_memory', pin_memory)


def mix_precision(cfg: Config) -> None:
    """Turns on mixed precision for training, validation and test, as
    ``--amp`` does; a type that the config names stays."""
    amp = cfg.optim_wrapper.setdefault('amp', default_amp())
    for name in ('val_cfg', 'test_cfg'):
        if cfg.get(name) and str(cfg[name].get('type')).startswith('pss.'):
            cfg[name].setdefault('amp', amp)


def merge_options(cfg: Config, options: Optional[Dict[str, Any]]) -> None:
    """Merges ``--cfg-options`` into a config.

    Raises:
        InputError: if an option does not fit.
    """
    options = options or {}
    replaced = tuple(name[:-len('_delete_')] for name in options
                     if name.endswith('._delete_'))
    for name in options:
        if not name.startswith(replaced or ('._delete_', )):
            _check_place(cfg, name)
    try:
        cfg.merge_from_dict(options)
    except Exception as error:
        raise InputError(f'--cfg-options: {said(error)}') from None
    check_sections(cfg)


def _check_place(cfg: Config, name: str) -> None:
    """Checks that a config has a place for an option; keys may be new."""
    value: Any = cfg
    keys = name.split('.')
    for i, key in enumerate(keys):
        where = f'--cfg-options {name}: {".".join(keys[:i]) or "the config"}'
        if isinstance(value, (list, tuple)):
            if not (key.isascii() and key.isdigit() and int(key) < len(value)):
                raise InputError(f'{where} has {len(value)} entries; expected '
                                 f'the number of one, from 0, not {key!r}')
            value = value[int(key)]
        elif isinstance(value, (dict, Config)):
            if key not in value:
                return
            value = value[key]
        else:
            raise InputError(f'{where} is {shown(value)}, which has no '
                             f'{key!r}')


def keep_testing(cfg: Config, checkpoint: str) -> None:
    """Takes from a config what only training needs, for a Runner that tests
    ``checkpoint``."""
    cfg.load_from = checkpoint
    cfg.resume = False
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = None
    cfg.param_scheduler = cfg.auto_scale_lr = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None


def verify_config(cfg: Config) -> None:
    """Checks what can be checked before anything is built.

    Raises:
        InputError: if the config has a key that nobody reads or a value that
            its field cannot have, names modules or data that are not there, or
            a work directory that cannot be written to, or compiles a supernet;
            or a detector's neck does not fit its backbone.
    """
    try:
        _verify(cfg)
    except (InputError, OSError):
        raise
    except Exception as error:
        raise InputError(f'{name_of(cfg)}: {said(error)}') from error


def _verify(cfg: Config) -> None:
    check_sections(cfg)
    need_fields(cfg, ['model'])
    import_modules(cfg)
    check_config(cfg)
    check_values(cfg)
    check_detector(cfg)
    if cfg.get('compile') and 'pss.Supernet' in str(cfg.model.get('type')):
        raise InputError(
            f'compile={cfg.compile!r}: a supernet has other shapes in every '
            'pass, and would be compiled again for each; expected compile for '
            'the config of one subnet, as tools/deployment/export_subnet.py '
            'writes it')
    if cfg.get('sync_bn') not in (None, 'torch'):
        raise InputError(
            f'sync_bn={cfg.sync_bn!r}: layers of that kind cannot change their '
            "width; expected None or 'torch'")
    _check_folder(cfg.work_dir)
    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader',
                  'val_cfg', 'test_cfg'):
        check_data(cfg.get(field), field)


def _check_folder(work_dir: str) -> None:
    """Checks that logs and checkpoints can be written."""
    try:
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir) as file:
            file.write(b'0' * 4096)
    except OSError as error:
        raise InputError(f'work_dir={work_dir!r}: cannot be written to '
                         f'({error.strerror or error})') from None
