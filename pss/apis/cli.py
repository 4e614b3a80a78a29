"""Running a command-line tool."""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import torch
from mmengine.config import Config, DictAction

from ..engine import Terminated
from ..engine.precision import default_amp
from ..errors import DivergedError, InputError
from ..registry import check_config
from .detection import check_detector
from .processes import NAMES, leave_processes


def run(main: Callable[[], None]) -> None:
    """Runs a tool and says in one line what ended it.

    The status is 2 for bad input, 3 for losses or weights that are not finite,
    143 after SIGTERM.

    Loading stays ``weights_only=True`` in all of it, also where MMEngine calls
    ``torch.load`` with an older torch, whose default is another.
    """
    os.environ.setdefault('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    try:
        main()
        leave_processes()
    except (InputError, FileNotFoundError) as error:
        _say(f'error: {error}')
        sys.exit(2)
    except DivergedError as error:
        _say(f'error: {error}')
        sys.exit(3)
    except Terminated as end:
        _say(end.message)
        raise


def _say(message: str) -> None:
    """Prints a line, in the process that speaks for all of its node."""
    if all(os.environ.get(name, '0') == '0' for _, _, name in NAMES.values()):
        print(message, file=sys.stderr)


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


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override some settings in the used config, the key-value pair '
        'in xxx=yyy format will be merged into config file. If the value to '
        'be overwritten is a list, it should be like key="[a,b]" or key=a,b '
        'It also allows nested list/tuple values, e.g. key="[(a,b),(c,d)]" '
        'Note that the quotation marks are necessary and that no white space '
        'is allowed.')


def merge_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Merges those arguments into a config, ``--cfg-options`` first."""
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
    try:
        cfg.merge_from_dict(options or {})
    except (TypeError, KeyError, IndexError) as error:
        raise InputError(f'--cfg-options: {error}') from None


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
        InputError: if the config has a key that nobody reads, names a folder
            of data that is not there, or a work directory that cannot be
            written to, or compiles a supernet; or a detector's neck does not
            fit its backbone.
    """
    check_config(cfg)
    check_detector(cfg)
    if cfg.get('compile') and 'pss.Supernet' in str(cfg.model.get('type')):
        raise InputError(
            f'compile={cfg.compile!r}: a supernet has other shapes in every '
            'pass, and would be compiled again for each; legal is compile for '
            'the config of one subnet, as tools/deployment/export_subnet.py '
            'writes it')
    if cfg.get('sync_bn') not in (None, 'torch'):
        raise InputError(
            f'sync_bn={cfg.sync_bn!r}: layers of that kind cannot change their '
            "width; legal are None and 'torch'")
    _check_folder(cfg.work_dir)
    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader',
                  'val_cfg', 'test_cfg'):
        _check_data(cfg.get(field), field)


def _check_folder(work_dir: str) -> None:
    """Checks that logs and checkpoints can be written."""
    try:
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir) as file:
            file.write(b'0' * 4096)
    except OSError as error:
        raise InputError(f'work_dir={work_dir!r}: cannot be written to '
                         f'({error.strerror or error})') from None


def _check_data(cfg: Any, where: str) -> None:
    """Checks that the folders of all datasets in a part of a config exist."""
    if isinstance(cfg, (list, tuple)):
        for i, item in enumerate(cfg):
            _check_data(item, f'{where}[{i}]')
    elif isinstance(cfg, dict):
        root = cfg.get('data_root')
        if root and '://' not in root and not Path(root).is_dir():
            raise InputError(
                f'{where}.data_root={root!r}: no such folder; see README, '
                f'"Data", for what {cfg.get("type", "the dataset")} needs')
        for key, value in cfg.items():
            _check_data(value, f'{where}.{key}')
