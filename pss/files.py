"""Reading files up to a limit, and writing them atomically.

Atomic file writes: readers see the old file or the complete new one.
"""

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

MOST_BYTES = 256 * 2**20  # of a file that is read into memory at once
DEEPEST = 100  # levels of nested lists and objects
MOST_DIGITS = 100  # of an integer
_MOST_LINKS = 40  # followed in a row, as in Linux

_KINDS = {
    stat.S_IFDIR: 'a folder',
    stat.S_IFIFO: 'a named pipe',
    stat.S_IFCHR: 'a device',
    stat.S_IFBLK: 'a device',
    stat.S_IFSOCK: 'a socket'
}


def reason_of(error: BaseException) -> object:
    """Why something failed: the operating system's words, or the error."""
    return getattr(error, 'strerror', None) or error


@contextmanager
def system_errors(what: str) -> Iterator[None]:
    """Turns errors of the operating system into one line.

    Args:
        what: failed, such as ``a.json: cannot be written``.

    Raises:
        InputError: for any ``OSError`` inside; it adds the reason.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f'{what} ({reason_of(error)})') from None


@contextmanager
def open_regular(path: FilePath,
                 most: Optional[int] = None,
                 name: Optional[str] = None) -> Iterator[BinaryIO]:
    """Opens a regular file, or a link to one, for reading.

    A pipe or a device may never end, and even opening one may block forever.
    So the kind of file is checked before it is opened, and again afterwards.

    Args:
        path: the file.
        most: its largest size in bytes; ``None`` for no limit.
        name: for messages; the path by default.

    Raises:
        InputError: if the file does not exist, is not a regular one, is too
            large, or cannot be read; also from inside the ``with`` block.
    """
    name = str(path) if name is None else name
    _check_name(path)
    with system_errors(f'{name}: cannot be read'):
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
    """Reads a regular file that is not too large.

    Args:
        path: the file.
        most: its largest size in bytes.

    Raises:
        InputError: as in :func:`open_regular`.
    """
    with open_regular(path, most) as file:
        content = file.read(most + 1)
    if len(content) > most:  # it grew, or its stated size was wrong
        raise _too_large(path, len(content), most)
    return content


def read_text(path: FilePath, most: int = MOST_BYTES) -> str:
    """Reads a UTF-8 text file; see :func:`read_regular`.

    Raises:
        InputError: as there, and if it is not UTF-8.
    """
    try:
        return read_regular(path, most).decode('utf-8')
    except UnicodeDecodeError as error:
        raise InputError(f'{path}: not a text in UTF-8 ({error})') from None


def parse_json(text: str) -> Any:
    """Parses JSON, with limits on nesting and on the length of integers.

    Raises:
        InputError: for anything else. It gives only the reason, since callers
            know the file's name.
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
        raise InputError('lists and objects are nested too deeply; '
                         f'expected at most {DEEPEST} levels')
    return value


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise InputError(f'an integer of {len(digits)} digits; expected at '
                         f'most {MOST_DIGITS}')
    return int(digits)


def _is_deep(value: Any) -> bool:
    """Whether containers are nested more than :data:`DEEPEST` deep.

    It goes level by level, since recursion has a limit of its own.
    """
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
        InputError: as in :func:`read_regular`, and if the file is not JSON or
            exceeds the limits of :func:`parse_json`.
    """
    content = read_regular(path)
    try:
        return parse_json(content.decode('utf-8'))
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: not a JSON file ({error})') from None


@contextmanager
def whole_file(path: FilePath) -> Iterator[Path]:
    """Writes a file atomically: yields a temporary path to write to, which is
    renamed to ``path`` at the end of the ``with`` block.

    If the process is killed, the previous file stays, at most with a temporary
    one beside it. The content is on the disk before the file is renamed, so
    that a power failure leaves a complete file as well.

    If ``path`` is a link, the file it points to is replaced. A file that is
    replaced keeps its permissions. Pipes and devices, such as ``/dev/stdout``,
    receive the bytes at the end.

    Args:
        path: the file; its folder is created if it does not exist.

    Raises:
        InputError: if it cannot be written, or is a folder, a disk or a
            socket; names the file and the reason.
    """
    _check_name(path)
    with system_errors(f'{path}: cannot be written'), \
            _temporary_of(Path(path)) as temporary:
        yield temporary


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
        with suppress(OSError):  # it is gone once renamed
            temporary.unlink()


def _check_name(path: FilePath) -> None:
    if '\0' in str(path):
        raise InputError(f'{str(path)!r}: expected a name without a NUL '
                         'character')


def _unused(target: Path) -> Path:
    """A name beside a file that no other process will choose."""
    return target.with_name(f'{target.name[:200]}.{secrets.token_hex(8)}.tmp')


def _behind_links(path: Path) -> Tuple[Optional[int], Path]:
    """Follows links: an open descriptor of this process if the path leads to
    one, as ``/dev/stdout`` does, and the path without links."""
    own = f'/proc/{os.getpid()}/fd'
    for _ in range(_MOST_LINKS):
        if path.name.isdigit() and os.path.realpath(path.parent) == own:
            return int(path.name), path
        if not path.is_symlink():
            return None, path
        path = path.parent / os.readlink(path)
    raise InputError(f'{path}: a link that leads in a circle; expected a '
                     'file to write')


def _pour(source: Path, target: Path, descriptor: Optional[int]) -> None:
    """Copies a file into a pipe, a device or an open descriptor."""
    content = source.read_bytes()
    if descriptor is not None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # keeps the order of what is printed
        with open(os.dup(descriptor), 'wb') as file:
            file.write(content)
        return
    try:  # opening a pipe without a reader would block forever
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
    """Writes a JSON file atomically; of a list, one entry a line.

    Raises:
        InputError: if the file cannot be written.
    """
    if isinstance(value, list):
        text = '[' + ',\n '.join(map(json.dumps, value)) + ']\n'
    else:
        text = json_text(value)
    write_text(text, path)


def json_text(value: Any, **options: Any) -> str:
    """JSON for people: indented, but lists of numbers, such as widths, on one
    line.

    Args:
        value: to write.
        **options: of :func:`json.dumps`.
    """
    # matches strings, to leave them as they are, and lists of numbers
    return re.sub(
        r'"(?:[^"\\]|\\.)*"|\[\s*(\d[\d,\s]*)\]', lambda found: found[0]
        if found[1] is None else f'[{" ".join(found[1].split())}]',
        json.dumps(value, indent=1, **options)) + '\n'


def write_text(text: str, path: FilePath) -> None:
    """Writes a text file atomically.

    Raises:
        InputError: if the file cannot be written.
    """
    with whole_file(path) as file:
        file.write_text(text, encoding='utf-8')
