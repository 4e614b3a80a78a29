"""Files: read up to a limit, written whole or not at all."""

import errno
import json
import os
import re
import secrets
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Iterator, List, Optional, Tuple, Union

from .errors import InputError

FilePath = Union[str, Path]

MOST_BYTES = 256 * 2**20  # of what is read into memory as a whole
DEEPEST = 100  # lists and objects inside one another
MOST_DIGITS = 100  # of an integer
_MOST_LINKS = 40  # that are followed, as Linux does

_KINDS = {
    stat.S_IFDIR: 'a folder',
    stat.S_IFIFO: 'a named pipe',
    stat.S_IFCHR: 'a device',
    stat.S_IFBLK: 'a device',
    stat.S_IFSOCK: 'a socket'
}


@contextmanager
def open_regular(path: FilePath,
                 most: Optional[int] = None,
                 name: Optional[str] = None) -> Iterator[BinaryIO]:
    """Opens a regular file, or a link to one, for reading.

    A pipe or a device may never end, and only opening one may wait for ever:
    what a file is, is asked before it is opened, and again once it is open.

    Args:
        path: the file.
        most: how large it may be, in bytes.
        name: what messages call it; its path if not told.

    Raises:
        InputError: if there is no such file, it is something else, larger, or
            cannot be read, in the block that reads it too.
    """
    name = str(path) if name is None else name
    _check_name(path)
    try:
        _check_regular(name, os.stat(path), most)
        descriptor = os.open(
            path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
            | os.O_CLOEXEC)
        with open(descriptor, 'rb') as file:
            _check_regular(name, os.fstat(descriptor), most)
            yield file
    except FileNotFoundError:
        raise InputError(f'{name}: no such file') from None
    except OSError as error:
        raise InputError(
            f'{name}: cannot be read ({error.strerror or error})') from None


def _check_regular(name: str, status: os.stat_result,
                   most: Optional[int]) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), 'something else')
        raise InputError(f'{name}: is {kind}; expected a regular file')
    if most is not None and status.st_size > most:
        raise _too_large(name, status.st_size, most)


def _too_large(name: FilePath, size: int, most: int) -> InputError:
    return InputError(f'{name}: has {size:,} bytes or more; expected at most '
                      f'{most:,}')


def read_regular(path: FilePath, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file that is not too large.

    Args:
        path: the file.
        most: how large it may be, in bytes.

    Raises:
        InputError: as :func:`open_regular`.
    """
    with open_regular(path, most) as file:
        content = file.read(most + 1)
    if len(content) > most:  # it grew, or its size was not known
        raise _too_large(path, len(content), most)
    return content


def read_text(path: FilePath, most: int = MOST_BYTES) -> str:
    """:func:`read_regular`, as text in UTF-8.

    Raises:
        InputError: as there, and if it is no such text.
    """
    try:
        return read_regular(path, most).decode('utf-8')
    except UnicodeDecodeError as error:
        raise InputError(f'{path}: not a text in UTF-8 ({error})') from None


def parse_json(text: str) -> Any:
    """Parses JSON that is not nested too deeply and has no endless integers.

    Raises:
        InputError: for anything else; the reason only, for callers know the
            file's name.
    """
    try:
        value = json.loads(text, parse_int=_integer)
        is_deep = _is_deep(value)
    except InputError:
        raise
    except RecursionError:
        is_deep = True
    except ValueError as error:
        raise InputError(str(error)) from None
    if is_deep:
        raise InputError('too many lists and objects inside one another; '
                         f'expected at most {DEEPEST}')
    return value


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise InputError(f'an integer of {len(digits)} digits; expected at '
                         f'most {MOST_DIGITS}')
    return int(digits)


def _is_deep(value: Any) -> bool:
    """Whether containers lie more than :data:`DEEPEST` deep; level by level,
    since a recursion would have a limit of its own."""
    level: List[Any] = [value]
    for _ in range(DEEPEST):
        level = [
            inner for outer in level if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    return bool(level)


def read_json(path: FilePath) -> Any:
    """Reads a JSON file.

    Raises:
        InputError: if there is none, it is not a regular file or too large,
            or it is not JSON; see :func:`parse_json` for its limits.
    """
    content = read_regular(path)
    try:
        return parse_json(content.decode('utf-8'))
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: not a JSON file ({error})') from None


@contextmanager
def whole_file(path: FilePath) -> Iterator[Path]:
    """A temporary name to write to; it becomes ``path`` when that is done.

    A process that is killed leaves the file that was there before, and at most
    a temporary one. What was written is on the disk before the name changes,
    so that a machine that loses its power leaves a whole file as well.

    A link stays, and what it points to is replaced. A file that is replaced
    keeps its permissions. Pipes and devices, such as ``/dev/stdout``, get the
    bytes when they are complete.

    Args:
        path: the file; its folder is made if it is not there.

    Raises:
        InputError: if it cannot be written, or is a folder, a disk or a
            socket; it names the file and the reason.
    """
    _check_name(path)
    try:
        with _temporary_of(Path(path)) as temporary:
            yield temporary
    except OSError as error:
        raise InputError(f'{path}: cannot be written '
                         f'({error.strerror or error})') from None


@contextmanager
def _temporary_of(path: Path) -> Iterator[Path]:
    descriptor, target = _behind_links(path)
    try:
        mode = 0 if descriptor is not None else os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    if descriptor is not None or mode is not None and (stat.S_ISFIFO(mode)
                                                       or stat.S_ISCHR(mode)):
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder, 'content')
            yield temporary
            _pour(temporary, target, descriptor)
        return
    if mode is not None and not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), 'something else')
        raise InputError(f'{path}: is {kind}; expected a file to write')
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _unused(target)
    try:
        yield temporary
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        temporary.replace(target)
    finally:
        with suppress(OSError):  # once renamed it is not there any more
            temporary.unlink()


def _check_name(path: FilePath) -> None:
    if '\0' in str(path):
        raise InputError(f'{str(path)!r}: expected a name without a NUL '
                         'character')


def _unused(target: Path) -> Path:
    """A name beside a file that no other process thinks of."""
    return target.with_name(f'{target.name[:200]}.{secrets.token_hex(8)}.tmp')


def _behind_links(path: Path) -> Tuple[Optional[int], Path]:
    """What a path leads to: a descriptor that this process has open, such as
    behind ``/dev/stdout``, and the path without links."""
    own = f'/proc/{os.getpid()}/fd'
    for _ in range(_MOST_LINKS):
        if path.name.isdigit() and os.path.realpath(path.parent) == own:
            return int(path.name), path
        if not path.is_symlink():
            return None, path
        path = path.parent / os.readlink(path)
    raise InputError(f'{path}: a link that leads round in a circle; expected '
                     'a file to write')


def _pour(source: Path, target: Path, descriptor: Optional[int]) -> None:
    """Copies a file's bytes into something that is not a file."""
    content = source.read_bytes()
    if descriptor is not None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # what was printed before comes first
        with open(os.dup(descriptor), 'wb') as file:
            file.write(content)
        return
    try:  # without a reader, opening a pipe would wait for ever
        opened = os.open(
            target, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
            | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, 'nobody reads from it') from None
        raise
    os.set_blocking(opened, True)
    with open(opened, 'wb') as file:
        file.write(content)


def write_json(value: Any, path: FilePath) -> None:
    """Writes a JSON file whole or not at all, one list entry a line."""
    if isinstance(value, list):
        text = '[' + ',\n '.join(map(json.dumps, value)) + ']\n'
    else:
        text = json_text(value)
    write_text(text, path)


def json_text(value: Any, **options) -> str:
    """JSON for people: indented, lists of numbers, such as widths, on one line.

    Args:
        value: what to write.
        **options: as for :func:`json.dumps`.
    """
    # a string, which stays as it is, or a list of numbers
    return re.sub(
        r'"(?:[^"\\]|\\.)*"|\[\s*(\d[\d,\s]*)\]', lambda found: found[0]
        if found[1] is None else f'[{" ".join(found[1].split())}]',
        json.dumps(value, indent=1, **options)) + '\n'


def write_text(text: str, path: FilePath) -> None:
    """Writes a text file whole or not at all: a temporary name, then renamed.

    Raises:
        InputError: if the file cannot be written.
    """
    with whole_file(path) as file:
        file.write_text(text, encoding='utf-8')
