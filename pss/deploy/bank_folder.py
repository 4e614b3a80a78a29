"""Folders of banks: written atomically, and never in place of anything else.

Both kinds of banks, for PyTorch and for devices, are a folder whose index has
the checksums of its files, and one of itself.
"""

import ctypes
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Mapping

from ..errors import InputError
from ..files import FilePath, json_text, read_json, system_errors
from .bank_format import BLANK, INDEX, digest


def check_target(folder: FilePath, form: str, is_ours: Callable[[str],
                                                                bool]) -> None:
    """Checks that a bank can be written to a folder.

    Args:
        folder: the target.
        form: the bank's format, which its index names.
        is_ours: whether a file of this name may be a bank's.

    Raises:
        InputError: if the folder holds anything but a bank of that format.
    """
    folder = Path(folder)
    if not os.path.lexists(folder):
        return
    expected = 'expected a new folder, an empty one, or a bank to replace'
    if not folder.is_dir():
        raise InputError(f'{folder}: not a folder; {expected}')
    others = sorted(
        path.name for path in folder.iterdir()
        if not is_ours(path.name) or path.is_symlink() or not path.is_file())
    if others:
        raise InputError(
            f'{folder}: holds something other than a bank ({others[0]!r}'
            f'{", ..." if others[1:] else ""}), which would be lost; '
            f'{expected}')
    if any(folder.iterdir()):
        index = read_json(folder / INDEX)
        if not isinstance(index, dict) or index.get('format') != form:
            raise InputError(f'{folder / INDEX}: not the index of a bank '
                             f'({form}); {expected}')


def index_text(value: Dict[str, Any], files: Mapping[str, bytes]) -> str:
    """The text of an index, with checksums of the files and of itself.

    Raises:
        InputError: if JSON cannot hold the value.
    """
    value = dict(
        value,
        files={
            name: dict(bytes=len(content), sha256=digest(content))
            for name, content in files.items()
        },
        sha256=BLANK)
    try:
        text = json_text(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            'the config cannot be kept in a bank: it holds more '
            f'than numbers, text, lists and dicts ({error})') from None
    return digest(text.encode()).join(text.rsplit(BLANK, 1))


def write_folder(folder: FilePath, files: Mapping[str, bytes],
                 check: Callable[[Path], Any]) -> None:
    """Writes a folder atomically: readers see the old one or the complete new
    one.

    It is written under a temporary name and checked there. It then takes the
    place of one that is already there: in one step if the file system can
    exchange folders (Linux), else in two renames.

    Args:
        folder: the target; a link to a folder is followed.
        files: the contents of its files, by name.
        check: is called with the temporary folder, and raises
            :class:`.InputError` if it must not be kept.

    Raises:
        InputError: if it cannot be written, or ``check`` refuses it.
    """
    folder = Path(folder)
    if folder.is_symlink():
        folder = folder.resolve()
    temporary = folder.with_name(f'{folder.name}.{os.getpid()}.tmp')
    try:
        with system_errors(f'{folder}: cannot be written'):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for name, content in files.items():
                with open(temporary / name, 'wb') as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            try:
                check(temporary)
            except InputError as error:
                raise InputError(f'not written: {error}'.replace(
                    str(temporary), str(folder))) from None
            _exchange(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Renames ``new`` to ``old``; what had that name is removed, or left under
    the name ``new``."""
    if not old.exists():
        new.rename(old)
        return
    at_cwd, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        done = ctypes.CDLL(None).renameat2(at_cwd, os.fsencode(new), at_cwd,
                                           os.fsencode(old), exchange) == 0
    except (OSError, AttributeError, TypeError):  # not Linux, or an old one
        done = False
    if not done:
        aside = new.with_suffix('.old')
        old.rename(aside)
        new.rename(old)
        shutil.rmtree(aside)
