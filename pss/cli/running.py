"""Running a command-line tool, and reporting what ended it."""

import logging
import os
import select
import sys
from io import TextIOWrapper
from typing import Any, Callable, List, TextIO

from pss_command.arguments import LAUNCHERS

from ..allocator import keep_freed_memory
from ..config.built_part import built_part
from ..config.failures import is_out_of_memory, said
from ..engine import Terminated
from ..errors import DataError, DivergedError, InputError, printable
from .error_log import write_log
from .processes import leave_processes


def run(main: Callable[..., None], *args: Any) -> None:
    """Runs a tool, prints one line about what ended it, and exits.

    Tools parse their arguments before they import anything that takes seconds,
    this included, so ``argparse`` ends them by itself.

    The status is 2 for bad input, for a config whose parts cannot be built and
    for a disk or folder that cannot be written to; 3 for losses or weights
    that are not finite; 130 after Ctrl-C; 141 if the reader of the output has
    gone; 143 after SIGTERM; and 1 for anything else. Tracebacks are written to
    a file, see :func:`.write_log`.

    Throughout, files are loaded with ``weights_only=True``, also where
    MMEngine calls ``torch.load`` of an older torch with another default; and
    freed memory is kept, see :func:`.keep_freed_memory`.

    Args:
        main: what the tool does.
        *args: its arguments.
    """
    keep_freed_memory()
    os.environ.setdefault('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    # without this, logging to a full disk prints a traceback for every line
    logging.raiseExceptions = False
    if isinstance(sys.stdout, TextIOWrapper):  # file names may not be UTF-8
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        main(*args)
        leave_processes()
        sys.stdout.flush()
    except Terminated as end:
        _say(end.message)
        raise
    except KeyboardInterrupt:
        _say('interrupted')
        sys.exit(130)
    except Exception as error:
        sys.exit(_report(error))


def _report(error: Exception) -> int:
    """Prints what ended a tool, and returns its exit status."""
    if isinstance(error, BrokenPipeError) and _is_closed(sys.stdout):
        return 141  # the shell's status for a process that SIGPIPE ended
    if isinstance(error, DivergedError):
        _say(f'error: {error}')
        return 3
    if isinstance(error, (OSError, DataError)) or \
            isinstance(error, InputError) and error.__cause__ is None:
        _say(f'error: {said(error)}', isinstance(error, DataError))
        return 2
    if is_out_of_memory(error):
        _say(f'error: out of memory ({said(error)})')
        return 1
    part = None if isinstance(error, InputError) else built_part(error)
    status = 2 if part is not None or isinstance(error, InputError) else 1
    where = '' if part is None else f'config: {part}: ' if part else 'config: '
    log = write_log(error, next(filter(None, _ranks()), ''))
    hint = '' if log is None else f' (the traceback is in {log})'
    _say(f'error: {where}{said(error)}{hint}')
    return status


def _is_closed(stream: TextIO) -> bool:
    """Whether the reader of a stream has gone. If so, the stream is redirected
    to nowhere, so that Python does not complain when it exits."""
    poll = select.poll()
    poll.register(stream, select.POLLOUT)
    closed = any(event & (select.POLLERR | select.POLLHUP)
                 for _, event in poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return closed


def _ranks() -> List[str]:
    """This process's rank on its node by each launcher, unless it is 0."""
    found = [os.environ.get(name, '0') for _, _, name in LAUNCHERS.values()]
    return [rank for rank in found if rank != '0']


def _say(message: str, alone: bool = False) -> None:
    """Prints a line: in the first process of a node, or, for an error that only
    one process has, in that one."""
    if alone or not _ranks():
        print(printable(message), file=sys.stderr)
