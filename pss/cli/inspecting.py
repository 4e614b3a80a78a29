"""Checking the images of a config before anything is built."""

from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..checks import shown
from ..config import build_runner, folder_datasets, listed_images
from ..datasets import CheckedImages, check_images, list_folder, split_folder
from ..errors import InputError
from ..files import system_errors, whole_file
from ..search.subnet_search import LEAST_IMAGES
from .processes import ask_first

LIST = 'broken_images.txt'  # in the work directory
_NAMED = 10  # problems in a message; the file has all


class _Report(NamedTuple):
    """What the first process found: images to skip, the digest of the split,
    the number of images held out, and lines for the log."""
    skipped: List[str]
    digest: str
    held_out: int
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
    """Checks the images of a config with a section ``data``: a quick look at
    each file, and the layout of a folder of classes. Only the first process
    does; all get the same split of a folder.

    Images to skip and the digest of the split are written into the config, and
    so into the file that a run writes; a config that has a digest is not
    checked again. A training with too few held-out images for a search ends
    without one.

    Args:
        cfg: checked by :func:`.verify_config`.

    Returns:
        Lines for the log of the run; none without such a section.

    Raises:
        InputError: one line with all problems, in all processes.
    """
    folders, section = folder_datasets(cfg), cfg.get('data')
    if section is None or section.get('digest') is not None:
        return []
    if not folders:
        return ask_first(lambda: _inspect_lists(cfg, section))
    report = ask_first(lambda: _inspect(cfg, folders[0]['data_root'], section))
    for part in (section, *folders):
        part.update(skipped=report.skipped, digest=report.digest)
    return [*report.lines, *_without_search(cfg, report.held_out)]


def _inspect(cfg: Config, data_root: str, section: Dict[str, Any]) -> _Report:
    listing = list_folder(data_root)
    paths = [path for images in listing.images.values() for path, _ in images]
    checked = _check(Path(data_root).expanduser(), paths, section)
    shares = {
        key: section[key]
        for key in ('held_out', 'test', 'seed') if key in section
    }
    skipped = sorted(checked.problems)
    split = split_folder(listing, skipped=skipped, **shares)
    problems = [*listing.problems, *split.problems]
    broken = _list_broken(cfg, checked)
    if broken and not section.get('skip_broken', False):
        problems.append(f'images that cannot be used: {broken}: repair or '
                        'remove these images, or skip them with '
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
        lines.append(f'Skipped images: {broken}')
    return _Report(skipped, split.digest, len(split.images['held_out']), lines)


def _inspect_lists(cfg: Config, section: Dict[str, Any]) -> List[str]:
    """Checks the images that annotation files list, which are not split here.
    """
    if section.get('skip_broken', False):
        raise InputError('data.skip_broken=True: expected False, since only '
                         'images of a pss.FolderDataset can be skipped; remove '
                         'broken ones from the annotation file')
    images = listed_images(cfg)
    checked = _check(Path(), images, section)
    broken = _list_broken(cfg, checked)
    if broken:
        raise InputError(f'images that cannot be used: {broken}; repair them, '
                         'or remove them from the annotation file')
    if not images:
        return []
    return [
        f'Images that were checked: {len(images):,}', *_conversions(checked),
        *_sizes(cfg, checked.short_sides)
    ]


def _without_search(cfg: Config, held_out: int) -> List[str]:
    """Turns off the search at the end of a training with too few images for
    one, which would refuse to train; says so."""
    testing = cfg.get('test_cfg') or {}
    if cfg.get('train_dataloader') is None or held_out >= LEAST_IMAGES or \
            testing.get('search') is None:
        return []
    testing['search'] = None
    return [
        f'test_cfg.search=None: {held_out} images are held out, and a search '
        f'needs {LEAST_IMAGES}; instead the five best subnets of each pool by '
        'score are tried'
    ]


def _check(root: Path, paths: List[str], section: Dict[str,
                                                       Any]) -> CheckedImages:
    return check_images(
        root, paths, lambda num: print_log(
            f'{num:,} of {len(paths):,} images are checked', 'current'),
        section.get('check') == 'decode')


def _list_broken(cfg: Config, checked: CheckedImages) -> str:
    """Writes all problems of images into the work directory.

    Returns:
        Their number, the first of them, and the file; empty without problems.
    """
    broken = [f'{path} {why}' for path, why in sorted(checked.problems.items())]
    out = Path(cfg.work_dir, LIST)
    if not broken:
        with system_errors(f'{out}: an earlier list cannot be removed'):
            out.unlink(missing_ok=True)
        return ''
    with whole_file(out) as temporary:
        temporary.write_text(
            '\n'.join(broken) + '\n',
            encoding='utf-8',
            errors='backslashreplace')
    return f'{len(broken):,} ({_first(broken)}; all in {out})'


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


def _plain(resolutions: Any) -> Any:
    return dict(resolutions) if isinstance(resolutions, dict) else resolutions


def _first(texts: List[str], num: int = _NAMED) -> str:
    """The first few texts."""
    more = ['...'] if len(texts) > num else []
    return '; '.join([*texts[:num], *more])
