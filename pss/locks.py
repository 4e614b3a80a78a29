"""Locks that keep two processes from writing the same files."""

import json
import os
import socket
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Dict, Iterator

from filelock import FileLock, Timeout

from .checks import check_integer, check_text
from .errors import InputError
from .files import FilePath, parse_json, read_text, reason_of, whole_file

# A killed process's children, such as those of a data loader, share its lock
# until they notice its end.
SECONDS_AFTER_DEATH = 15
_MOST_OF_HOLDER = 10_000  # bytes


@contextmanager
def locked(path: FilePath, what: str) -> Iterator[None]:
    """Holds a lock on all machines that share the file system.

    The operating system releases it when the process ends, however it ends.
    The lock is on an empty file, ``PATH.lock``, which is never deleted:
    another process may be about to lock it, and would then hold a lock on a
    file that nobody else can see. ``PATH.holder`` beside it names the process
    that holds the lock; it only serves the message, and is deleted with the
    lock's release.

    Args:
        path: names the lock; its folder is created if it does not exist.
        what: is locked, for the message, such as ``work_dir='runs/a'``.

    Raises:
        InputError: if another process, or this one, already holds the lock, or
            it cannot be created. Names the holder as far as it is known.
    """
    path = Path(os.path.realpath(path))
    holder = path.with_name(f'{path.name}.holder')
    lock = FileLock(path.with_name(f'{path.name}.lock'))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, holder)
    except Timeout:
        raise InputError(f'{what}: in use by {_name(_read(holder))}; expected '
                         'one process at a time') from None
    except (OSError, NotImplementedError) as error:
        raise InputError(f'{what}: cannot be locked ({lock.lock_file}: '
                         f'{reason_of(error)})') from None
    is_written = False
    try:
        is_written = _write(holder)
        yield
    finally:
        if is_written:
            with suppress(OSError):
                holder.unlink()  # while the lock is still ours
        lock.release()


def _acquire(lock: FileLock, holder: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not _is_dead(_read(holder)):
            raise
        lock.acquire(timeout=SECONDS_AFTER_DEATH)


def _write(holder: Path) -> bool:
    """Names this process as the holder; returns whether that succeeded."""
    with suppress(InputError), whole_file(holder) as file:
        file.write_text(
            json.dumps(
                dict(
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    since=datetime.now().astimezone().isoformat(
                        timespec='seconds'))))
        return True
    return False


def _read(holder: Path) -> Dict[str, Any]:
    """The stated holder of a lock; empty if it cannot be read."""
    try:
        found = parse_json(read_text(holder, _MOST_OF_HOLDER))
        if not isinstance(found, dict):
            return {}
        check_integer('pid', found.get('pid'), 1, 2**31 - 1)
        for key in ('host', 'since'):
            check_text(key, found.get(key))
        return found
    except InputError:
        return {}


def _is_dead(found: Dict[str, Any]) -> bool:
    """Whether the stated holder was on this machine and runs no more."""
    if found.get('host') != socket.gethostname():
        return False
    try:
        os.kill(found['pid'], 0)  # sends nothing
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def _name(found: Dict[str, Any]) -> str:
    if not found:
        return 'another process'
    return (f'process {found["pid"]} on {found["host"]} since '
            f'{found["since"]}')
