"""Checking the images of a folder before anything is built."""

from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..checks import shown
from ..config import build_runner, folder_datasets
from ..datasets import CheckedImages, check_images, list_folder, split_folder
from ..errors import InputError
from ..files import whole_file
from .processes import ask_first

LIST = 'broken_images.txt'  # in the work directory
_NAMED = 10  # problems in a message; the file has all


class _Report(NamedTuple):
    """What the first process found: images to skip, the digest of the split,
    and lines for the log."""
    skipped: List[str]
    digest: str
    lines: List[str]


def build_inspected(cfg: Config) -> Runner:
    """Builds the Runner of a config after its images have been inspected, and
    logs what was found.

    Raises:
        InputError: as :func:`inspect_data` and :func:`.build_runner` do.
    """
    lines = inspect_data(cfg)
    runner = build_runner(cfg)
    for line in lines:
        runner.logger.info(line)
    return runner


def inspect_data(cfg: Config) -> List[str]:
    """Checks a folder of classes: its layout and, by a quick look at each file,
    its images. Only the first process does; all get the same split.

    Images to skip and the digest of the split are written into the config, and
    so into the file that a run writes; a config that has a digest is not
    checked again.

    Args:
        cfg: checked by :func:`.verify_config`.

    Returns:
        Lines for the log of the run; none without such a folder.

    Raises:
        InputError: one line with all problems, in all processes.
    """
    folders = folder_datasets(cfg)
    section = cfg.get('data')
    if not folders or section is None or section.get('digest') is not None:
        return []
    report = ask_first(lambda: _inspect(cfg, folders[0]['data_root'], section))
    for part in (section, *folders):
        part.update(skipped=report.skipped, digest=report.digest)
    return report.lines


def _inspect(cfg: Config, data_root: str, section: Dict[str, Any]) -> _Report:
    listing = list_folder(data_root)
    paths = [path for images in listing.images.values() for path, _ in images]
    checked = check_images(
        Path(data_root).expanduser(), paths, lambda num: print_log(
            f'{num:,} of {len(paths):,} images are checked', 'current'),
        section.get('check') == 'decode')
    shares = {
        key: section[key]
        for key in ('held_out', 'test', 'seed') if key in section
    }
    skipped = sorted(checked.problems)
    split = split_folder(listing, skipped=skipped, **shares)
    problems = [*listing.problems, *split.problems]
    broken = [f'{path} {checked.problems[path]}' for path in skipped]
    if broken:
        out = Path(cfg.work_dir, LIST)
        with whole_file(out) as temporary:
            temporary.write_text(
                '\n'.join(broken) + '\n',
                encoding='utf-8',
                errors='backslashreplace')
        if not section.get('skip_broken', False):
            problems.append(
                f'{_count(broken)} that cannot be used ({_first(broken)}; all '
                f'in {out}); repair or remove them, or skip them with '
                'data.skip_broken=True')
    problems += _batch_problems(cfg, len(split.images['train']))
    if problems:
        raise InputError(f'data_root={data_root!r}: {"; ".join(problems)}')
    lines = [
        f'{data_root}: {len(listing.classes)} classes: '
        f'{shown(list(listing.classes), 500)}',
        'Images to train: {train:,}, to hold out: {held_out:,}, to test: '
        '{test:,}'.format(**{
            part: len(images)
            for part, images in split.images.items()
        }), *listing.remarks, *_conversions(checked),
        *_sizes(cfg, checked.short_sides)
    ]
    if broken:
        lines.append(f'Skipped: {_count(broken)} ({_first(broken)}; all in '
                     f'{Path(cfg.work_dir, LIST)})')
    return _Report(skipped, split.digest, lines)


def _batch_problems(cfg: Config, num: int) -> Iterable[str]:
    """Too few images for one iteration."""
    loader = cfg.get('train_dataloader') or {}
    size = loader.get('batch_size', 1) * get_world_size()
    if loader.get('drop_last') and num < size:
        yield (f'{num} images train: expected at least {size}, one batch; set '
               f'train_dataloader.batch_size to at most {num}')


def _conversions(checked: CheckedImages) -> List[str]:
    return [
        f'Images that are {note}: {len(paths):,} ({_first(paths, 3)})'
        for note, paths in checked.notes.items()
    ]


def _sizes(cfg: Config, sides: np.ndarray) -> List[str]:
    space = cfg.model.get('backbone', {}).get('search_space') or {}
    line = (f'Shorter sides of images: {sides.min()} to {sides.max()} pixels, '
            f'median {int(np.median(sides))}')
    if 'resolutions' in space:
        line += f'; subnets take resolutions={_plain(space["resolutions"])}'
    return [line]


def _count(images: List[str]) -> str:
    return f'{len(images):,} image{"s" * (len(images) > 1)}'


def _plain(resolutions: Any) -> Any:
    return dict(resolutions) if isinstance(resolutions, dict) else resolutions


def _first(texts: List[str], num: int = _NAMED) -> str:
    """The first few texts."""
    more = ['...'] if len(texts) > num else []
    return '; '.join([*texts[:num], *more])
