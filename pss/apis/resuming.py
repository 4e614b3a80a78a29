"""Finding the checkpoint that an interrupted run goes on from."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, Optional

from mmengine.logging import print_log

from ..engine.saved_state import check_resumable
from ..errors import InputError
from .checkpoint import FilePath, peek_checkpoint, read_checkpoint

POINTER = 'last_checkpoint'  # MMEngine's name of the file with the newest's


def find_checkpoint(work_dir: FilePath) -> Optional[Path]:
    """The newest undamaged checkpoint of a run.

    Whatever their names say, the newest is the one with the most iterations.
    Damaged ones are passed over with a warning.

    Args:
        work_dir: the run's; the folder that ``last_checkpoint`` in it points
            to is searched too.

    Returns:
        The file, or ``None`` if there is no checkpoint at all.

    Raises:
        InputError: if there are checkpoints, and none of them will do.
    """
    refused: List[str] = []
    places = {}
    for path in _candidates(Path(work_dir)):
        try:
            content = peek_checkpoint(path)
        except InputError as error:
            refused.append(str(error))
            continue
        meta = content.get('meta') if isinstance(content, dict) else None
        if isinstance(meta, dict) and 'iter' in meta:  # not only weights
            places[path] = meta
    for path in sorted(places, key=lambda p: _iterations(places[p]),
                       reverse=True):
        try:
            check_resumable(read_checkpoint(path))
        except InputError as error:
            refused.append(str(error) if str(path) in str(error)
                           else f'checkpoint {path}: {error}')
            continue
        for message in refused:
            print_log(f'{message}; going on from {path}', 'current',
                      logging.WARNING)
        return path
    if refused:
        raise InputError(f'resume: no checkpoint in {work_dir} will do: '
                         f'{"; ".join(refused)}')
    return None


def _candidates(work_dir: Path) -> List[Path]:
    """Files that may be checkpoints of the run."""
    folders = {work_dir.resolve()}
    with suppress(OSError, ValueError):
        newest = (work_dir / POINTER).read_text(encoding='utf-8').strip()
        folders.add(Path(newest).resolve().parent)
    return sorted(path for folder in folders for path in folder.glob('*.pth')
                  if path.is_file() and not path.name.startswith('best_'))


def _iterations(meta: Dict[str, Any]) -> int:
    return meta['iter'] if isinstance(meta['iter'], int) else -1
