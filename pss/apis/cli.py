"""Running a command-line tool."""

import os
import sys
from typing import Callable

from ..errors import InputError


def run(main: Callable[[], None]) -> None:
    """Runs a tool; bad input ends it with one line and status 2.

    Loading stays ``weights_only=True`` in all of it, also where MMEngine calls
    ``torch.load`` with an older torch, whose default is another.
    """
    os.environ.setdefault('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    try:
        main()
    except InputError as error:
        sys.exit(f'error: {error}' if _is_first() else 2)


def _is_first() -> bool:
    """Whether this is the process that speaks for all of its node."""
    return os.environ.get('LOCAL_RANK', '0') == '0'
