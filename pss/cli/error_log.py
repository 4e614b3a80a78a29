"""The traceback of a tool's failure, written to a file."""

import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Optional

from ..config.built_part import config_of


def write_log(error: BaseException, rank: str = '') -> Optional[Path]:
    """Writes the full traceback of an exception to a file.

    Args:
        error: the exception.
        rank: of the process, if there are several.

    Returns:
        The file: ``error_TIME.log`` in the work directory or, if there is
        none, in the system's folder for temporary files. ``None`` if neither
        can be written to.
    """
    text = ''.join(traceback.format_exception(error))
    name = f'error_{time.strftime("%Y%m%d_%H%M%S")}{rank and f"_{rank}"}'
    config = config_of(error)
    with suppress(Exception):
        folder = None if config is None else Path(config.work_dir)
        if folder is not None and folder.is_dir():
            path = folder / f'{name}.log'
            with path.open(
                    'a', encoding='utf-8', errors='backslashreplace') as file:
                file.write(text)
            return path
    with suppress(Exception):
        handle, temporary = tempfile.mkstemp('.log', f'{name}_')
        with open(
                handle, 'w', encoding='utf-8',
                errors='backslashreplace') as file:
            file.write(text)
        return Path(temporary)
    return None
