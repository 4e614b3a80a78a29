"""Checks that output can be written, made before the hours of work for it."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Iterable, Optional

from .errors import InputError
from .files import FilePath, reason_of


def check_out(out: FilePath,
              inputs: Iterable[Optional[FilePath]] = (),
              suffix: str = '',
              option: str = '--out') -> Path:
    """Checks that a file can be written. The check leaves nothing behind.

    Args:
        out: the file.
        inputs: files that are read, which it must not overwrite.
        suffix: required ending of its name, if any.
        option: of the command line, for the message.

    Raises:
        InputError: if it cannot be written; gives the reason.
    """
    path = Path(out)
    where = f'{option}={out}'
    if suffix and path.suffix != suffix:
        raise InputError(f'{where}: expected a name ending in {suffix}')
    _check_new(path, where, 'file')
    for given in inputs:
        if given and os.path.realpath(given) == os.path.realpath(path):
            raise InputError(f'{where}: would overwrite {given}')
    return path


def check_report(out: FilePath, inputs: Iterable[FilePath] = ()) -> Path:
    """Checks that results can be written: a JSON file, and a table, a plot and
    a page beside it.

    Raises:
        InputError: if one cannot be written; gives the reason.
    """
    path = check_out(out, inputs, '.json')
    for suffix in ('.csv', '.png', '.html'):
        check_out(path.with_suffix(suffix), inputs)
    return path


def check_out_folder(out: FilePath, option: str = '--out') -> Path:
    """Checks that files can be written to a folder, which may be new.

    Raises:
        InputError: if they cannot; gives the reason.
    """
    _check_new(Path(os.path.abspath(out)), f'{option}={out}', 'folder')
    return Path(out)


def _check_new(path: Path, where: str, kind: str) -> None:
    if not path.name and kind == 'file':
        raise InputError(f'{where}: expected a file')
    try:
        # as long as the longest temporary name beside it
        with suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(path.with_name(f'{path.name}.4194304.tmp'))
        is_kind = path.is_file() if kind == 'file' else path.is_dir()
        if os.path.lexists(path) and not is_kind:
            raise InputError(f'{where}: expected a {kind}, found something '
                             'else')
        folder = path if kind == 'folder' else path.parent
        while not os.path.lexists(folder) and folder != folder.parent:
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b'0')
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f'{where}: cannot be written ({reason_of(error)})') from None
