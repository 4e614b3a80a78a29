"""The zip archives that torch saves, checked before it unpacks them."""

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
_BEGINNING = b'PK\3\4'  # by which torch tells an archive


def check_archive(file: BinaryIO, where: str) -> None:
    """Checks a checkpoint's archive, check sums included.

    torch stores what it saves and does not pack it: a small file of packed
    entries, or of entries that share their bytes, would fill the memory. Nor
    does torch compare check sums: one bit of a weight may be another. Files in
    its format of before 1.6 are no archives, and pass.

    Args:
        file: open; at its beginning afterwards.
        where: what messages call it.

    Raises:
        InputError: it says what is wrong.
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
                raise InputError(f'{where}: damaged (the check sum of '
                                 f'{shown(damaged)} is wrong)')
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
    """Checks that an archive's directory is where every reader looks for it.

    Python's reader takes the one in front of the archive's end, torch's the
    one at the place that the end names: two of them could say different
    things.

    Args:
        file: the archive.
        size: its size.
        start: where Python found the directory.

    Raises:
        BadZipFile: if they are not one and the same, and the last thing.
    """
    file.seek(max(size - 42, 0))
    tail = file.read()
    end = size - 22
    length, place = struct.unpack('<LL', tail[-10:-2])
    if tail[:4] == b'PK\6\7':  # the large format's
        end = size - 98
        if struct.unpack('<Q', tail[8:16])[0] != end:
            raise zipfile.BadZipFile('an archive with two ends')
        file.seek(end + 40)
        length, place = struct.unpack('<QQ', file.read(16))
    if tail[-22:-18] != b'PK\5\6' or place != start or place + length != end:
        raise zipfile.BadZipFile('an archive with two directories')


def _check_pickles(file: BinaryIO, size: int) -> None:
    """The pickles that a file in torch's older format begins with."""
    file.seek(0)
    with suppress(ValueError):  # tensors follow, or it is something else
        for _ in range(_OLD_PICKLES):
            check_operations(file, size)


def _check_entries(entries: Sequence[zipfile.ZipInfo], size: int,
                   where: str) -> None:
    packed = [
        entry.filename for entry in entries
        if entry.compress_type != zipfile.ZIP_STORED
    ]
    if packed:
        raise InputError(f'{where}: its entry {shown(packed[0])} is packed; '
                         'expected the stored entries that torch.save writes')
    whole = sum(entry.file_size for entry in entries)
    if whole > size:
        raise InputError(f'{where}: its entries have {whole:,} bytes, and the '
                         f'file {size:,}; expected entries that share none')
    if len({entry.filename.lower() for entry in entries}) < len(entries):
        raise InputError(f'{where}: damaged (two of its entries have the same '
                         'name)')


def first_line(error: Exception) -> str:
    """What an error says, in one line; its type if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
