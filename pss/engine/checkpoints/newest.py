"""Finding the newest checkpoint of an interrupted run, to resume from."""

import logging
import stat
from contextlib import suppress
from pathlib import Path
from typing import List, Optional

from mmengine.logging import print_log

from ...errors import InputError
from ...files import FilePath, read_text
from .reading import read_checkpoint
from .saved_state import check_resumable

POINTER = 'last_checkpoint'  # MMEngine's file with the newest one's path
MOST_OF_POINTER = 10_000  # bytes
_STATE = {'optimizer', 'message_hub'}  # a run's checkpoint has at least one


def find_checkpoint(work_dir: FilePath, since: float = 0.) -> Optional[Path]:
    """Finds the newest undamaged checkpoint of a run.

    The newest is the one that ``last_checkpoint`` names; the others are ordered
    by modification time. Not by iteration: a run that went back to an older
    checkpoint has left some of later iterations. Damaged ones are skipped with
    a warning.

    Args:
        work_dir: of the run; the folder that ``last_checkpoint`` in it points
            to is searched as well.
        since: ignores files written before, in seconds since 1970.

    Returns:
        The file, or ``None`` if there is no checkpoint.

    Raises:
        InputError: if there are checkpoints, but none can be resumed from.
    """
    refused: List[str] = []
    for path in _candidates(Path(work_dir), since):
        try:
            checkpoint = read_checkpoint(path)
            if 'meta' not in checkpoint or not _STATE & checkpoint.keys():
                continue  # weights alone, such as an extracted subnet's
            check_resumable(checkpoint)
        except InputError as error:
            refused.append(f'{path}: {error}')
            continue
        for message in refused:
            print_log(f'{message}; resuming from {path}', 'current',
                      logging.WARNING)
        return path
    if refused:
        raise InputError(f'resume: no checkpoint in {work_dir} can be '
                         f'resumed from: '
                         f'{"; ".join(refused)}')
    return None


def _candidates(work_dir: Path, since: float) -> List[Path]:
    """Files that may be checkpoints of the run, newest first."""
    newest = None
    folders = {work_dir}
    # the pointer may name anything, and need not be a file
    with suppress(OSError, ValueError, RuntimeError):
        folders = {work_dir.resolve()}
        text = read_text(work_dir / POINTER, MOST_OF_POINTER).strip()
        newest = Path(text).resolve()
        folders.add(newest.parent)
    found = []
    for path in {path for folder in folders for path in folder.glob('*.pth')}:
        with suppress(OSError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode) and status.st_mtime >= since and \
                    not path.name.startswith('best_'):
                found.append((path == newest, status.st_mtime_ns, path))
    return [path for *_, path in sorted(found, reverse=True)]
