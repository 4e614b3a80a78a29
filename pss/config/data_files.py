"""Whether the files and folders that a config's data sets name exist."""

from pathlib import Path
from typing import Any, Dict, Optional

from ..checks import LONGEST_PATH, check_text
from ..errors import InputError


def check_data(cfg: Any, where: str) -> None:
    """Checks that the files of all data sets in a part of a config exist.

    Args:
        cfg: the part.
        where: its path in the config.

    Raises:
        InputError: for a ``data_root``, ``ann_file`` or ``data_prefix`` that
            does not exist. Only local files are checked.
    """
    if isinstance(cfg, (list, tuple)):
        for i, item in enumerate(cfg):
            check_data(item, f'{where}[{i}]')
    elif isinstance(cfg, dict):
        _check_dataset(cfg, where)
        for key, value in cfg.items():
            check_data(value, f'{where}.{key}')


def _check_dataset(cfg: Dict[str, Any], where: str) -> None:
    root, prefix = cfg.get('data_root'), cfg.get('data_prefix')
    parts = prefix if isinstance(prefix, dict) else {'': prefix}
    paths = {
        'data_root': root,
        'ann_file': cfg.get('ann_file'),
        **{
            f'data_prefix.{key}'.strip('.'): value
            for key, value in parts.items()
        }
    }
    for field, path in paths.items():
        if path is not None:
            check_text(f'{where}.{field}', path, LONGEST_PATH)
    _check_path(root, f'{where}.data_root', 'folder', cfg)
    if '://' in (root or '') or cfg.get('backend_args') or \
            cfg.get('download') is True:
        return
    for field, path in paths.items():
        if field != 'data_root':
            _check_path(path, f'{where}.{field}',
                        'file' if field == 'ann_file' else 'folder', cfg, root
                        or '')


def _check_path(path: Optional[str],
                where: str,
                kind: str,
                dataset: Dict[str, Any],
                root: str = '') -> None:
    if not path or '://' in path:
        return
    full = Path(root, path).expanduser()
    try:
        there = full.is_dir() if kind == 'folder' else full.is_file()
    except OSError:  # a name that is too long
        there = False
    if not there:
        below = f' in {root}' if root else ''
        raise InputError(
            f'{where}={path!r}: no such {kind}{below}; docs/imagenet.md, '
            f'"Data", says what {dataset.get("type", "the dataset")} needs')
