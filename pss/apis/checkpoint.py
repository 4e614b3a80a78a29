"""Reading checkpoints, and saying what is wrong with them."""

import os
import pickle
import struct
import zipfile
import zlib
from typing import Any, BinaryIO, Dict, Sequence

import torch
from torch import nn

from ..checks import shown
from ..engine.hooks.pss_sampler_hook import STATE_KEY
from ..engine.weights import check_same, clean
from ..errors import InputError
from ..files import FilePath, open_regular, whole_file

_ARCHIVE = b'PK\3\4'  # how a zip archive begins, and torch's files with it


def read_checkpoint_data(path: FilePath) -> Any:
    """Loads a file with ``weights_only=True``: nothing in it is run.

    Raises:
        InputError: if there is no such file, it is not a regular one, it is
            damaged or packed, or it holds objects that are not data.
    """
    try:
        with open_regular(path) as file:
            return _load(file, path)
    except _Bad as error:
        raise InputError(f'checkpoint {path}: {error}') from None
    except InputError as error:  # it begins with the path
        raise InputError(f'checkpoint {error}') from None


class _Bad(Exception):
    """What is wrong with a checkpoint's content."""


def _load(file: BinaryIO, path: FilePath) -> Any:
    _check_archive(file)
    try:
        return torch.load(file, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        if 'HistoryBuffer' in str(error):
            raise _Bad(
                'written by plain MMEngine, whose log '
                'history only loads by running code from the file. Where you '
                'trust it, keep its weights: torch.save({"state_dict": '
                'torch.load(FILE)["state_dict"]}, OUT) under torch older than '
                '2.6, and use OUT for load_from') from None
        raise _Bad('damaged, or holds more than data '
                   f'({_first_line(error)})') from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError,
            AttributeError, TypeError, IndexError, AssertionError, ImportError,
            OverflowError, MemoryError) as error:
        raise _Bad(f'truncated or damaged ({_first_line(error)})') from None


def _check_archive(file: BinaryIO) -> None:
    """Checks an archive before torch unpacks it, check sums included.

    torch stores what it saves and does not pack it: a small file of packed
    entries, or of entries that share their bytes, would fill the memory. Nor
    does torch compare check sums. Files in its format of before 1.6 have none.
    """
    try:
        is_archive = zipfile.is_zipfile(file)
        file.seek(0)
        if not is_archive and file.read(len(_ARCHIVE)) == _ARCHIVE:
            raise _Bad('truncated or damaged (it begins as an archive and does '
                       'not end as one)')
        size = file.seek(0, os.SEEK_END)
        if is_archive:
            with zipfile.ZipFile(file) as archive:
                _check_entries(archive.infolist(), size)
                damaged = archive.testzip()
            if damaged is not None:
                raise _Bad(f'damaged (the check sum of {damaged!r} is wrong)')
        file.seek(0)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError,
            NotImplementedError, RuntimeError, struct.error) as error:
        raise _Bad(f'truncated or damaged ({_first_line(error)})') from None


def _check_entries(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    packed = [entry.filename for entry in entries
              if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise _Bad(f'its entry {shown(packed[0])} is packed; expected the '
                   'stored entries that torch.save writes')
    whole = sum(entry.file_size for entry in entries)
    if whole > size:
        raise _Bad(f'its entries have {whole:,} bytes, and the file {size:,}; '
                   'expected entries that do not share bytes')
    if len({entry.filename.lower() for entry in entries}) < len(entries):
        raise _Bad('damaged (two of its entries have the same name)')


def read_checkpoint(path: FilePath) -> Dict[str, Any]:
    """Loads a checkpoint of MMEngine's form, as :func:`read_checkpoint_data`.

    Raises:
        InputError: as there, and if it has no ``state_dict`` of dense tensors.
    """
    checkpoint = read_checkpoint_data(path)
    clean(checkpoint, f'checkpoint {path}')
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
        InputError: it names the first keys that are missing, unknown, of
            another shape or kind, or not finite.
    """
    checkpoint = read_checkpoint(path)
    check_same(checkpoint['state_dict'], model, f'checkpoint {path}')
    if pools and STATE_KEY not in checkpoint:
        raise InputError(f'checkpoint {path}: has no pools; it was not written '
                         'by training with pss.PSSSamplerHook')
    return checkpoint


def _first_line(error: Exception) -> str:
    """What an error says, in one line; its type if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
