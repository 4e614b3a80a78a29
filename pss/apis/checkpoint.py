"""Reading checkpoints, and saying what is wrong with them."""

import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict, Union

import torch
from mmengine.model import is_model_wrapper
from torch import nn

from ..engine.hooks.pss_sampler_hook import STATE_KEY
from ..errors import InputError
from ..files import whole_file

FilePath = Union[str, Path]


def read_checkpoint_data(path: FilePath) -> Any:
    """Loads a file with ``weights_only=True``: nothing in it is run.

    Raises:
        InputError: if there is no such file, it is damaged, or it holds
            objects that are not data.
    """
    if not Path(path).is_file():
        raise InputError(f'checkpoint {path}: no such file')
    _check_sums(path)
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        if 'HistoryBuffer' in str(error):
            raise InputError(
                f'checkpoint {path}: written by plain MMEngine, whose log '
                'history only loads by running code from the file. Where you '
                'trust it, keep its weights: torch.save({"state_dict": '
                'torch.load(FILE)["state_dict"]}, OUT) under torch older than '
                '2.6, and use OUT for load_from') from None
        raise InputError(f'checkpoint {path}: damaged, or holds more than '
                         f'data ({_first_line(error)})') from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError,
            AttributeError, TypeError, IndexError) as error:
        raise InputError(f'checkpoint {path}: truncated or damaged '
                         f'({_first_line(error)})') from None


def _check_sums(path: FilePath) -> None:
    """Compares a file's contents with its check sums, which torch does not.

    Files in torch's format of before 1.6 have none.
    """
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError,
            NotImplementedError, RuntimeError, struct.error) as error:
        raise InputError(f'checkpoint {path}: truncated or damaged '
                         f'({_first_line(error)})') from None
    if damaged is not None:
        raise InputError(f'checkpoint {path}: damaged (the check sum of '
                         f'{damaged!r} is wrong)')


def read_checkpoint(path: FilePath) -> Dict[str, Any]:
    """Loads a checkpoint of MMEngine's form, as :func:`read_checkpoint_data`.

    Raises:
        InputError: as there, and if it has no ``state_dict``.
    """
    checkpoint = read_checkpoint_data(path)
    if not isinstance(checkpoint, dict) or \
            not isinstance(checkpoint.get('state_dict'), dict):
        raise InputError(f'checkpoint {path}: has no state_dict')
    return checkpoint


def save_checkpoint(checkpoint: Dict[str, Any], path: FilePath) -> None:
    """Writes a checkpoint whole or not at all.

    Raises:
        InputError: if it cannot be written.
    """
    with whole_file(path) as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:  # torch's for a disk that is full
            raise OSError(_first_line(error)) from None


def check_checkpoint(path: FilePath,
                     model: nn.Module,
                     pools: bool = False) -> Dict[str, Any]:
    """Reads a checkpoint and checks that it is one of ``model``.

    Args:
        path: the checkpoint.
        model: what it should fit, in a distributed wrapper or not.
        pools: whether it must hold pools.

    Returns:
        The checkpoint.

    Raises:
        InputError: it names the first keys that are missing, unknown or of
            another shape.
    """
    checkpoint = read_checkpoint(path)
    model = model.module if is_model_wrapper(model) else model
    found = {key[len('module.'):] if key.startswith('module.') else key: value
             for key, value in checkpoint['state_dict'].items()}
    wanted = model.state_dict()
    missing = [key for key in wanted if key not in found]
    unknown = [key for key in found if key not in wanted]
    shapes = [f'{key} ({_shape(found[key])} instead of {_shape(wanted[key])})'
              for key in wanted
              if key in found and _shape(found[key]) != _shape(wanted[key])]
    wrong = [f'{len(keys)} {what}: {", ".join(map(str, keys[:3]))}'
             + (', ...' if len(keys) > 3 else '')
             for what, keys in (('keys are missing', missing),
                                ('keys are unknown', unknown),
                                ('have another shape', shapes)) if keys]
    if wrong:
        raise InputError(f'checkpoint {path}: not of this architecture '
                         f'({type(model).__name__}); {"; ".join(wrong)}')
    if pools and STATE_KEY not in checkpoint:
        raise InputError(f'checkpoint {path}: has no pools; it was not written '
                         'by training with pss.PSSSamplerHook')
    return checkpoint


def _first_line(error: Exception) -> str:
    """What an error says, in one line; its type if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _shape(value: Any) -> Any:
    return tuple(value.shape) if hasattr(value, 'shape') else type(value)
