"""Reading checkpoints, with one clear error for a bad one, and writing them."""

import pickle
from typing import Any, BinaryIO, Dict

import torch
from torch import nn

from ...errors import InputError
from ...files import FilePath, open_regular, whole_file
from .archive import check_archive, first_line
from .cleaning import clean
from .entries import POOLS_KEY
from .weights import check_same


def read_checkpoint_data(path: FilePath) -> Any:
    """Loads a file with ``weights_only=True``: nothing in it is run.

    Raises:
        InputError: if the file does not exist, is not a regular one, is
            damaged or compressed, or holds objects that are not data.
    """
    where = f'checkpoint {path}'
    with open_regular(path, name=where) as file:
        check_archive(file, where)
        return _load(file, where)


def _load(file: BinaryIO, where: str) -> Any:
    try:
        return torch.load(file, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        if 'HistoryBuffer' in str(error):
            raise InputError(
                f'{where}: written by plain MMEngine, whose log '
                'history only loads by running code from the file. If you '
                'trust it, keep its weights: torch.save({"state_dict": '
                'torch.load(FILE)["state_dict"]}, OUT) with torch older than '
                '2.6, and use OUT for load_from') from None
        raise InputError(f'{where}: damaged, or holds more than data '
                         f'({first_line(error)})') from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError,
            AttributeError, TypeError, IndexError, AssertionError, ImportError,
            OverflowError, MemoryError) as error:
        raise InputError(f'{where}: truncated or damaged '
                         f'({first_line(error)})') from None


def read_checkpoint(path: FilePath) -> Dict[str, Any]:
    """Loads a checkpoint in MMEngine's form; see :func:`read_checkpoint_data`.

    Raises:
        InputError: as there, and if it has no ``state_dict`` of dense tensors.
    """
    checkpoint = read_checkpoint_data(path)
    clean(checkpoint, f'checkpoint {path}')
    return checkpoint


def save_checkpoint(checkpoint: Dict[str, Any], path: FilePath) -> None:
    """Writes a checkpoint atomically.

    Raises:
        InputError: if it cannot be written.
    """
    with whole_file(path) as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:  # raised by torch when the disk is full
            raise OSError(first_line(error)) from None


def check_checkpoint(path: FilePath,
                     model: nn.Module,
                     pools: bool = False) -> Dict[str, Any]:
    """Reads a checkpoint and checks that it fits a model exactly.

    Args:
        path: the checkpoint.
        model: in a distributed wrapper or not.
        pools: whether the checkpoint must hold pools.

    Returns:
        The checkpoint.

    Raises:
        InputError: names the first keys that are missing, unknown, of another
            shape or kind of number, or not finite.
    """
    checkpoint = read_checkpoint(path)
    check_same(checkpoint['state_dict'], model, f'checkpoint {path}')
    if pools and POOLS_KEY not in checkpoint:
        raise InputError(f'checkpoint {path}: has no pools; it was not written '
                         'by training with pss.PSSSamplerHook')
    return checkpoint
