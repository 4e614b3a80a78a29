"""What ended a tool, in one line, and the traceback in a file.

Exceptions that are no :class:`.InputError` come from everywhere: MMEngine,
torch and classes that a config names. Their tracebacks say where from.
"""

import os
import re
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Dict, Iterator, Optional

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from ..errors import InputError, printable, without_traceback

LONGEST = 500  # characters of what is shown of an exception's own words

# Fields of a config that a Runner builds; others are a config's variables.
BUILT = ('model', 'data_preprocessor', 'model_wrapper_cfg', 'train_dataloader',
         'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg',
         'test_cfg', 'val_evaluator', 'test_evaluator', 'optim_wrapper',
         'param_scheduler', 'default_hooks', 'custom_hooks', 'visualizer',
         'log_processor')
# What MMEngine's Runner does before it trains or tests, and the field that it
# does it with.
_STEPS = {
    'from_cfg': '',
    '__init__': '',
    'setup_env': 'env_cfg',
    'set_randomness': 'randomness',
    'build_logger': 'log_level',
    'build_log_processor': 'log_processor',
    'build_visualizer': 'visualizer',
    'build_model': 'model',
    'wrap_model': 'model_wrapper_cfg',
    'register_default_hooks': 'default_hooks',
    'register_custom_hooks': 'custom_hooks',
    'build_train_loop': 'train_cfg',
    'build_val_loop': 'val_cfg',
    'build_test_loop': 'test_cfg',
    'build_dataloader': '',
    'build_evaluator': '',
    'build_optim_wrapper': 'optim_wrapper',
    'scale_lr': 'auto_scale_lr',
    'build_param_scheduler': 'param_scheduler',
    'dump_config': ''
}


def said(error: BaseException) -> str:
    """An exception in one line: its type, and the first line of what it says.

    Of an :class:`.InputError` only the latter; of the system's errors the file
    and the reason; of what failed in a process that loads data, the last line
    of its traceback.
    """
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return printable(f'{os.fsdecode(error.filename)}: {error.strerror}')
    text = _text(error)
    kind = f'{type(error).__name__}: '
    short = without_traceback(text)
    if short != text:
        kind, text = '', re.sub(r'^pss\.errors\.\w+: ', '', short)
    elif isinstance(error, OSError):
        kind = ''
    wrapped = re.match(r'class `\w+` in \S+: ', text)
    if wrapped:  # older MMEngine's, around what a constructor raised
        kind, text = '', text[wrapped.end():]
    line = next(filter(None, map(str.strip, text.splitlines())), '')
    line = line.partition('. Please check whether')[0]
    if len(line) > LONGEST:
        line = f'{line[:LONGEST]}...'
    return printable(f'{kind}{line}') if line else type(error).__name__


def _text(error: BaseException) -> str:
    """What an exception says; its own code may fail to."""
    if isinstance(error, KeyError) and len(error.args) == 1 and \
            isinstance(error.args[0], str) and ' ' in error.args[0]:
        return error.args[0]  # a sentence, of which str() shows the repr
    if isinstance(error, SystemExit):
        return f'exit status {error.code}'
    try:
        return str(error)
    except Exception:
        return ''


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, a GPU's or this machine's, was not enough."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or \
        isinstance(error, RuntimeError) and "can't allocate memory" in _text(
            error)


def built_part(error: BaseException) -> Optional[str]:
    """Where in the config that is which could not be built.

    Args:
        error: with its traceback.

    Returns:
        ``model.backbone`` for instance; an empty text where it cannot be told;
        ``None`` if the exception is not one of building.
    """
    config = config_of(error)
    whole = {} if config is None else {
        key: config[key]
        for key in BUILT if key in config
    }
    found, here = None, whole
    for frame in _frames(error):
        module, name = frame.f_globals.get('__name__'), frame.f_code.co_name
        part = None
        if module == 'mmengine.runner.runner' and name in _STEPS:
            found = _STEPS[name] or found or ''
            here = whole.get(found, here)
            part = frame.f_locals.get('dataloader')
        elif module == 'mmengine.registry.build_functions':
            found = found or ''
            part = frame.f_locals.get('cfg')
        if not isinstance(part, dict) or not part:
            continue
        for start, where in ((here, found), (whole, '')):
            place = next(_places(part, start, where), None)
            if place is not None:
                found, here = place
                break
    return found


def _places(part: Dict[str, Any], config: Any, where: str = '') -> Iterator:
    """The places in a config that a part was taken from, and what is there."""
    if isinstance(config, dict) and _is_from(part, config) and where:
        yield where, config
    items = enumerate(config) if isinstance(config, (list, tuple)) else \
        config.items() if isinstance(config, dict) else ()
    for key, value in items:
        yield from _places(part, value, f'{where}.{key}'.strip('.'))


def _is_from(part: Dict[str, Any], original: Dict[str, Any]) -> bool:
    """Whether a part is an entry of a config, to which others may have been
    added."""
    if 'type' in original:
        return all(key in part and part[key] == value
                   for key, value in original.items())
    return part == original


def config_of(error: BaseException) -> Optional[Config]:
    """The config of the run that an exception ended, if there was one."""
    for frame in _frames(error):
        runner = frame.f_locals.get('self')
        for value in (runner.cfg if isinstance(runner, Runner)
                      and hasattr(runner, 'cfg') else None,
                      frame.f_locals.get('cfg'), frame.f_locals.get('config')):
            if isinstance(value, Config):
                return value
    return None


def _frames(error: BaseException) -> Iterator[FrameType]:
    for frame, _ in traceback.walk_tb(error.__traceback__):
        yield frame


def write_log(error: BaseException, rank: str = '') -> Optional[Path]:
    """Writes the full traceback into a file.

    Args:
        error: the exception.
        rank: of the process, where there are several.

    Returns:
        The file: ``error_TIME.log`` in the work directory, or, if there is
        none, in the system's folder for temporary files. ``None`` if neither
        can be written to.
    """
    text = ''.join(traceback.format_exception(error))
    name = f'error_{time.strftime("%Y%m%d_%H%M%S")}{rank and f"_{rank}"}'
    config = config_of(error)
    with suppress(Exception):
        folder = Path(config.work_dir)
        if folder.is_dir():
            path = folder / f'{name}.log'
            with path.open(
                    'a', encoding='utf-8', errors='backslashreplace') as file:
                file.write(text)
            return path
    with suppress(Exception):
        handle, temporary = tempfile.mkstemp('.log', f'{name}_')
        with open(
                handle, 'w', encoding='utf-8',
                errors='backslashreplace') as file:
            file.write(text)
        return Path(temporary)
    return None
