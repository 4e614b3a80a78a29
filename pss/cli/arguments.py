"""Merging the arguments that several tools have into a config."""

import argparse
import os
from pathlib import Path
from typing import Any, Dict, Optional

import torch
from mmengine.config import Config

from ..checks import check_integer, shown
from ..config import LARGEST, check_sections
from ..config.failures import said
from ..engine.precision import default_amp
from ..errors import InputError


def merge_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Merges the arguments of ``pss_command.arguments.add_arguments`` into a
    config, ``--cfg-options`` first.

    Raises:
        InputError: if one does not fit.
    """
    check_integer('--local-rank', args.local_rank, 0, LARGEST)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    merge_options(cfg, args.cfg_options)
    cfg.launcher = args.launcher
    # the command line comes before the config, the config before its name
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('./work_dirs', Path(args.config).stem)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(name) is not None:
            pin_memory = not args.no_pin_memory and torch.cuda.is_available()
            cfg[name].setdefault('pin_memory', pin_memory)


def mix_precision(cfg: Config) -> None:
    """Turns on mixed precision for training, validation and testing, for
    ``--amp``; a type that the config names is kept."""
    amp = cfg.optim_wrapper.setdefault('amp', default_amp())
    for name in ('val_cfg', 'test_cfg'):
        if cfg.get(name) and str(cfg[name].get('type')).startswith('pss.'):
            cfg[name].setdefault('amp', amp)


def merge_options(cfg: Config, options: Optional[Dict[str, Any]]) -> None:
    """Merges ``--cfg-options`` into a config.

    Raises:
        InputError: if an option does not fit the config.
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
    """Checks that an option fits into a config; keys may be new."""
    value: Any = cfg
    keys = name.split('.')
    for i, key in enumerate(keys):
        where = f'--cfg-options {name}: {".".join(keys[:i]) or "the config"}'
        if isinstance(value, (list, tuple)):
            if not (key.isascii() and key.isdigit() and int(key) < len(value)):
                raise InputError(f'{where} has {len(value)} entries; expected '
                                 f'the index of one, from 0, not {key!r}')
            value = value[int(key)]
        elif isinstance(value, (dict, Config)):
            if key not in value:
                return
            value = value[key]
        else:
            raise InputError(f'{where} is {shown(value)}, which has no '
                             f'{key!r}')
