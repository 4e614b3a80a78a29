"""Files that are there whole or not at all."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, Union

from .errors import InputError


@contextmanager
def whole_file(path: Union[str, Path]) -> Iterator[Path]:
    """A temporary name to write to; it becomes ``path`` when that is done.

    A process that is killed leaves the file that was there before, and at most
    a temporary one. What was written is on the disk before the name changes,
    so that a machine that loses its power leaves a whole file as well.

    Args:
        path: the file; its folder is made if it is not there.

    Raises:
        InputError: if it cannot be written; it names the file and the reason.
    """
    path = Path(path)
    temporary = path.with_name(f'{path.name}.{os.getpid()}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InputError(f'{path}: cannot be written '
                         f'({error.strerror or error})') from None
    finally:
        with suppress(OSError):  # once renamed it is not there any more
            temporary.unlink()


def read_regular(path, most=1 << 28):
    return Path(path).read_bytes()
