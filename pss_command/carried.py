"""The configs and tools that come with the package, and finding a config."""

import difflib
from functools import cache
from pathlib import Path
from typing import Dict, Optional

ROOT = Path(__file__).resolve().parents[1]
# folders of configs/ whose files are for users; _base_ is for other configs
FOLDERS = ('', 'detection')


def carried_folder() -> Path:
    """The folder that has ``configs`` and ``tools``: in an installed package
    ``pss/.mim``, otherwise the checkout."""
    installed = ROOT / 'pss' / '.mim'
    return installed if installed.is_dir() else ROOT


@cache
def carried_configs() -> Dict[str, Path]:
    """The configs that come with the package, by their base names, which are
    unique; sorted."""
    found = [
        path for folder in FOLDERS
        for path in Path(carried_folder(), 'configs', folder).glob('*.py')
    ]
    return {path.stem: path for path in sorted(found, key=lambda p: p.stem)}


def find_config(name: str) -> Optional[Path]:
    """Finds a config.

    Args:
        name: a file; or, if there is no such file, the base name of a config of
            the package, with or without ``.py``, or its path in the package,
            such as ``configs/pss_mbv2_imagenet.py``.

    Returns:
        Its path, which is ``name`` if that is a file; ``None`` if there is
        none.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.is_absolute() or '..' in path.parts:
        return None
    stem = path.name[:-3] if path.suffix == '.py' else path.name
    found = carried_configs().get(stem)
    if found is None:
        return None
    place = found.relative_to(carried_folder()).parts
    # a path must be all of one in the package: in another folder, a file that
    # is missing is a mistake
    asked = (*path.parts[:-1], found.name)
    return found if len(asked) == 1 or asked in (place, place[1:]) else None


def nearest_config(name: str) -> Optional[str]:
    """The base name of a config of the package that is spelt like ``name``, if
    there is one."""
    near = difflib.get_close_matches(Path(name).stem, carried_configs(), 1)
    return near[0] if near else None
