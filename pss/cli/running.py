"""Running a command-line tool."""

import logging
import os
import select
import sys
from contextlib import suppress
from typing import Callable, List, TextIO

from ..config.failures import built_part, is_out_of_memory, said, write_log
from ..engine import Terminated
from ..errors import DataError, DivergedError, InputError, printable
from .processes import NAMES, leave_processes


def run(main: Callable[[], None]) -> None:
    """Runs a tool and says in one line what ended it.

    The status is 2 for bad input, a config whose parts cannot be built and a
    disk or folder that cannot be written to; 3 for losses or weights that are
    not finite; 130 after Ctrl-C; 141 where nobody reads the output any more;
    143 after SIGTERM; and 1 for anything else. Tracebacks are written into a
    file, see :func:`.write_log`.

    Loading stays ``weights_only=True`` in all of it, also where MMEngine calls
    ``torch.load`` with an older torch, whose default is another.
    """
    os.environ.setdefault('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    # a log on a full disk would print a traceback for every line
    logging.raiseExceptions = False
    with suppress(AttributeError):  # names of files may not be UTF-8
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        main()
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
    """Says what ended a tool; gives its status."""
    if isinstance(error, BrokenPipeError) and _is_closed(sys.stdout):
        return 141  # the shell's for a process that SIGPIPE ended
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
    """Whether nobody reads a stream any more. It then leads nowhere, so that
    Python does not complain when it ends."""
    poll = select.poll()
    poll.register(stream, select.POLLOUT)
    closed = any(event & (select.POLLERR | select.POLLHUP)
                 for _, event in poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return closed


def _ranks() -> List[str]:
    """This process's rank on its node, by each launcher, where it is not 0."""
    found = [os.environ.get(name, '0') for _, _, name in NAMES.values()]
    return [rank for rank in found if rank != '0']


def _say(message: str, alone: bool = False) -> None:
    """Prints a line, in the process that speaks for all of its node, or in
    any that ``alone`` knows it."""
    if alone or not _ranks():
        print(printable(message), file=sys.stderr)
