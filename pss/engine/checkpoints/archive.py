"""Checks of the zip archives that torch saves, before it unpacks them."""

import os
import pickle
import struct
import zipfile
import zlib
from contextlib import suppress
from typing import BinaryIO, Sequence

from ...checks import shown
from ...errors import InputError
from ...pickles import check_operations

_OLD_PICKLES = 5  # magic number, version, machine, content, tensors' names
_BEGINNING = b'PK\3\4'  # by which torch recognises an archive


def check_archive(file: BinaryIO, where: str) -> None:
    """Checks a checkpoint's archive, checksums included.

    torch saves entries without compression. A small file with compressed
    entries, or with entries that share their bytes, could fill the memory.
    torch does not verify checksums either, so a flipped bit of a weight would
    go unnoticed. Of files in torch's format before 1.6, which are not
    archives, only the pickles are checked.

    Args:
        file: open; at its start afterwards.
        where: its name in messages.

    Raises:
        InputError: says what is wrong.
    """
    try:
        is_archive = zipfile.is_zipfile(file)
        file.seek(0)
        if not is_archive and file.read(len(_BEGINNING)) == _BEGINNING:
            raise zipfile.BadZipFile('an archive without an end')
        size = file.seek(0, os.SEEK_END)
        if is_archive:
            with zipfile.ZipFile(file) as archive:
                _check_directory(file, size, archive.start_dir)
                _check_entries(archive.infolist(), size, where)
                damaged = archive.testzip()
                for entry in archive.namelist():
                    if entry.endswith('data.pkl'):
                        check_operations(archive.read(entry), size)
            if damaged is not None:
                raise InputError(f'{where}: damaged (wrong checksum of '
                                 f'{shown(damaged)})')
        else:
            _check_pickles(file, size)
        file.seek(0)
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError(
            f'{where}: damaged, or holds more than data ({error})') from None
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError,
            NotImplementedError, RuntimeError, struct.error) as error:
        raise InputError(f'{where}: truncated or damaged '
                         f'({first_line(error)})') from None


def _check_directory(file: BinaryIO, size: int, start: int) -> None:
    """Checks that every reader finds the same directory in an archive.

    Python reads the directory just before the archive's end record, torch the
    one at the offset stated there: two directories could differ.

    Args:
        file: the archive.
        size: in bytes.
        start: offset of the directory that Python found.

    Raises:
        BadZipFile: if the directories differ, or anything follows the end.
    """
    file.seek(max(size - 42, 0))
    tail = file.read()
    end = size - 22
    length, place = struct.unpack('<LL', tail[-10:-2])
    if tail[:4] == b'PK\6\7':  # of the 64-bit format
        end = size - 98
        if struct.unpack('<Q', tail[8:16])[0] != end:
            raise zipfile.BadZipFile('an archive with two ends')
        file.seek(end + 40)
        length, place = struct.unpack('<QQ', file.read(16))
    if tail[-22:-18] != b'PK\5\6' or place != start or place + length != end:
        raise zipfile.BadZipFile('an archive with two directories')


def _check_pickles(file: BinaryIO, size: int) -> None:
    """Checks the pickles at the start of a file in torch's older format."""
    file.seek(0)
    with suppress(ValueError):  # tensors follow, or the file is something else
        for _ in range(_OLD_PICKLES):
            check_operations(file, size)


def _check_entries(entries: Sequence[zipfile.ZipInfo], size: int,
                   where: str) -> None:
    packed = [
        entry.filename for entry in entries
        if entry.compress_type != zipfile.ZIP_STORED
    ]
    if packed:
        raise InputError(f'{where}: its entry {shown(packed[0])} is '
                         'compressed; expected the uncompressed entries that '
                         'torch.save writes')
    whole = sum(entry.file_size for entry in entries)
    if whole > size:
        raise InputError(f'{where}: its entries have {whole:,} bytes, and the '
                         f'file {size:,}; expected entries that share none')
    if len({entry.filename.lower() for entry in entries}) < len(entries):
        raise InputError(f'{where}: damaged (two of its entries have the same '
                         'name)')


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its type if that is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
