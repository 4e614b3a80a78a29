"""Checks of what a config says, before anything is built of it.

They find what people mistype in the fields that all trainings and tests have.
Fields of one type only are checked where that type is built.
"""

from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

from mmengine.config import Config
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from ..checks import (
    check_boolean,
    check_choice,
    check_integer,
    check_keys,
    check_number,
    check_text,
    is_integer,
    shown,
)
from ..engine.precision import AMP_TYPES
from ..errors import InputError
from ..registry import parameters
from .failures import said

TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper')
VALIDATION = ('val_dataloader', 'val_cfg', 'val_evaluator')
TESTING = ('test_dataloader', 'test_cfg', 'test_evaluator')

# job launchers, as mmpretrain's tools name them
LAUNCHERS = ('pytorch', 'slurm', 'mpi')

LARGEST = 2**31 - 1  # of batches, epochs and the like
LARGEST_SEED = 2**32 - 1  # that NumPy takes
MOST_WORKERS = 1024  # processes of one loader
LONGEST_PATH = 4096
LOG_LEVELS = ('CRITICAL', 'FATAL', 'ERROR', 'WARNING', 'WARN', 'INFO', 'DEBUG',
              'NOTSET')

# Fields that are dicts; the first may also be None.
_DICTS_OR_NONE = ('model', 'data_preprocessor', 'train_dataloader',
                  'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg',
                  'test_cfg', 'optim_wrapper', 'auto_scale_lr', 'default_hooks',
                  'visualizer', 'log_processor', 'model_wrapper_cfg',
                  'custom_imports')
_DICTS = ('env_cfg', 'randomness')
# Fields that are dicts or lists of them, or None.
_LISTS_OR_NONE = ('val_evaluator', 'test_evaluator', 'param_scheduler',
                  'custom_hooks')


def need_fields(cfg: Config, fields: Sequence[str], what: str = '') -> None:
    """Checks that fields are there.

    Args:
        cfg: the config.
        fields: their names.
        what: needs them, for the message; everything if not told.

    Raises:
        InputError: for the first that is missing or ``None``.
    """
    for field in fields:
        if cfg.get(field) is None:
            hint = f'; {what} needs it' if what else ''
            raise InputError(f'{name_of(cfg)}: {field} is missing{hint}')


def name_of(cfg: Config) -> str:
    """How messages call a config."""
    return f'config {cfg.filename}' if cfg.filename else 'config'


def check_sections(cfg: Config) -> None:
    """Checks that the parts of a config are dicts, where they must be.

    Raises:
        InputError: for the first that is not.
    """
    for field in (*_DICTS_OR_NONE, *_DICTS):
        value = cfg.get(field)
        if field not in cfg or value is None and field in _DICTS_OR_NONE:
            continue
        _check_dict(f'{name_of(cfg)}: {field}', value)
    for field in _LISTS_OR_NONE:
        value = cfg.get(field)
        where = f'{name_of(cfg)}: {field}'
        if isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                _check_dict(f'{where}[{i}]', item)
        elif value is not None:
            _check_dict(where, value, ' or a list of them')
    for key, hook in (cfg.get('default_hooks') or {}).items():
        if hook is not None:
            _check_dict(f'{name_of(cfg)}: default_hooks.{key}', hook)


def _check_dict(where: str, value: Any, more: str = '') -> None:
    if not isinstance(value, dict):
        raise InputError(f'{where}={shown(value)}: expected a dict{more}')


def import_modules(cfg: Config) -> None:
    """Imports the modules that ``custom_imports`` names.

    Raises:
        InputError: if one cannot be imported; it names it, and the reason.
    """
    custom = cfg.get('custom_imports')
    if custom is None:
        return
    _check_dict('custom_imports', custom)
    check_keys(custom, ('imports', 'allow_failed_imports'), 'custom_imports')
    allowed = check_boolean('custom_imports.allow_failed_imports',
                            custom.get('allow_failed_imports', False))
    modules = custom.get('imports') or []
    if isinstance(modules, str):
        modules = [modules]
    if not isinstance(modules, (list, tuple)) or not all(
            isinstance(module, str) for module in modules):
        raise InputError(f'custom_imports.imports={shown(modules)}: expected '
                         'a list of modules')
    for module in modules:
        try:
            import_modules_from_strings([module], allowed)
        except ImportError as error:
            raise InputError(f'custom_imports: {module!r} cannot be imported '
                             f'({said(error.__context__ or error)})') from None
        except (Exception, SystemExit) as error:
            raise InputError(f'custom_imports: {module!r} cannot be imported '
                             f'({said(error)})') from error


def check_values(cfg: Config) -> None:
    """Checks the values of the fields that all configs have.

    Raises:
        InputError: it names the field, the value and what was expected.
    """
    for fields in (TRAINING, VALIDATION, TESTING):
        given = [field for field in fields if cfg.get(field) is not None]
        if given and len(given) < len(fields):
            need_fields(cfg, fields, f'{given[0]} is there, which')
    model = cfg.get('model') or {}
    for field in ('backbone', 'data_preprocessor', 'head', 'neck'):
        value = model.get(field)
        if field not in model or value is None and field != 'backbone' or \
                isinstance(value, (list, tuple)) and field in ('head', 'neck'):
            continue
        _check_dict(f'model.{field}', value)
    _check_run(cfg)
    _check_loops(cfg)
    _check_optimizer(cfg.get('optim_wrapper') or {})
    schedulers = cfg.get('param_scheduler') or []
    if isinstance(schedulers, (list, tuple)):
        for i, scheduler in enumerate(schedulers):
            _check_scheduler(scheduler, f'param_scheduler[{i}]')
    else:
        _check_scheduler(schedulers, 'param_scheduler')
    for where, loader in _loaders(cfg):
        _check_loader(loader, where)
    _check_classes(cfg)
    _check_normalisation(cfg)


def _check_run(cfg: Config) -> None:
    """Fields of the run as a whole."""
    for field in ('work_dir', 'load_from', 'default_scope', 'experiment_name'):
        value = cfg.get(field)
        if field in cfg and (value is not None or field == 'work_dir'):
            check_text(field, value, LONGEST_PATH)
            if not value:
                raise InputError(f"{field}='': expected a text that is not "
                                 'empty')
    check_boolean('resume', cfg.get('resume', False))
    check_choice('launcher', cfg.get('launcher', 'none'), ('none', *LAUNCHERS))
    level = cfg.get('log_level', 'INFO')
    if not is_integer(level) or not 0 <= level <= 100:
        check_choice('log_level', level, LOG_LEVELS)
    randomness = cfg.get('randomness', {})
    check_keys(randomness, parameters(Runner.set_randomness), 'randomness')
    if randomness.get('seed') is not None:
        check_integer('randomness.seed', randomness.seed, 0, LARGEST_SEED)
    _check_booleans(randomness, 'randomness', 'deterministic', 'diff_rank_seed')
    scaling = cfg.get('auto_scale_lr') or {}
    _check_integers(scaling, 'auto_scale_lr', base_batch_size=1)
    _check_booleans(scaling, 'auto_scale_lr', 'enable')
    for field in ('mp_cfg', 'dist_cfg'):
        if field in cfg.get('env_cfg', {}):
            _check_dict(f'env_cfg.{field}', cfg.env_cfg[field])


def _check_loops(cfg: Config) -> None:
    """Loops, MMEngine's own among them."""
    for field in ('train_cfg', 'val_cfg', 'test_cfg'):
        loop = cfg.get(field) or {}
        _check_integers(
            loop,
            field,
            max_epochs=1,
            max_iters=1,
            val_begin=0,
            val_interval=1,
            calibration_batches=1,
            candidates=1,
            ranked_pools=0,
            ranked_members=2)
        _check_booleans(loop, field, 'fp16', 'by_epoch')
        if 'amp' in loop:
            check_choice(f'{field}.amp', loop['amp'], tuple(AMP_TYPES))


def _check_optimizer(wrapper: Dict[str, Any]) -> None:
    _check_integers(wrapper, 'optim_wrapper', accumulative_counts=1)
    for field in ('optimizer', 'paramwise_cfg', 'clip_grad'):
        if wrapper.get(field) is not None or \
                field == 'optimizer' in wrapper:
            _check_dict(f'optim_wrapper.{field}', wrapper[field])
    optimizer = wrapper.get('optimizer') or {}
    kind = optimizer.get('type')
    if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
        raise InputError(f'optim_wrapper.optimizer.type={kind!r}: expected an '
                         'optimizer of torch or one that is registered')
    for field in ('lr', 'momentum', 'dampening', 'weight_decay', 'eps'):
        if field in optimizer:
            check_number(f'optim_wrapper.optimizer.{field}', optimizer[field],
                         0)
    _check_booleans(optimizer, 'optim_wrapper.optimizer', 'nesterov')


def _check_scheduler(scheduler: Dict[str, Any], where: str) -> None:
    given = {
        key: value
        for key, value in scheduler.items() if value is not None
    }
    _check_integers(given, where, begin=0, end=1, T_max=1)
    for field in ('eta_min', 'start_factor', 'end_factor', 'gamma', 'power'):
        if field in given:
            check_number(f'{where}.{field}', given[field])
    _check_booleans(given, where, 'by_epoch', 'convert_to_iter_based')


def _loaders(cfg: Config) -> Iterator[Tuple[str, Any]]:
    """All configs of loaders, and where they are."""
    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(field) is not None:
            yield field, cfg[field]
    for field in ('val_cfg', 'test_cfg'):
        for key, value in (cfg.get(field) or {}).items():
            if str(key).endswith('_dataloader'):
                yield f'{field}.{key}', value


def _check_loader(loader: Any, where: str) -> None:
    _check_dict(where, loader)
    for field in ('dataset', 'sampler'):
        if field not in loader:
            raise InputError(f'{where}.{field} is missing; a loader needs it')
        _check_dict(f'{where}.{field}', loader[field])
    if loader.get('batch_sampler') is None and 'batch_size' not in loader:
        raise InputError(f'{where}.batch_size is missing; a loader needs it')
    _check_integers(loader, where, batch_size=1)
    if 'num_workers' in loader:
        check_integer(f'{where}.num_workers', loader['num_workers'], 0,
                      MOST_WORKERS)
    _check_booleans(loader, where, 'persistent_workers', 'pin_memory',
                    'drop_last')
    if loader.get('persistent_workers') and not loader.get('num_workers'):
        raise InputError(f'{where}.persistent_workers=True: expected '
                         'num_workers above 0')


def _check_classes(cfg: Config) -> None:
    """How many classes there are, of which head and images must agree."""
    model = cfg.get('model') or {}
    head = model.get('head')
    if not isinstance(head, dict) or 'num_classes' not in head:
        return
    num = check_integer('model.head.num_classes', head['num_classes'], 1,
                        LARGEST)
    for field, images in (('model.data_preprocessor',
                           model.get('data_preprocessor')),
                          ('data_preprocessor', cfg.get('data_preprocessor'))):
        if isinstance(images, dict) and images.get('num_classes') is not None:
            other = check_integer(f'{field}.num_classes', images['num_classes'],
                                  1, LARGEST)
            if other != num:
                raise InputError(
                    f'model.head.num_classes={num}: expected {field}.'
                    f'num_classes={other}; set both to the number of classes')


def _check_normalisation(cfg: Config) -> None:
    """What pixels are divided by: 0 would make NaN of every image."""
    model = cfg.get('model') or {}
    for where, images in (('model.data_preprocessor',
                           model.get('data_preprocessor')),
                          ('data_preprocessor', cfg.get('data_preprocessor'))):
        for field, limits in (('mean', {}), ('std', dict(above=0))):
            values = images.get(field) if isinstance(images, dict) else None
            if isinstance(values, (list, tuple)):
                other = images.get('std')
                if isinstance(other, (list, tuple)) and \
                        len(values) != len(other):
                    raise InputError(f'{where}.mean has {len(values)} values: '
                                     f'expected {len(other)}, as std has')
                for i, value in enumerate(values):
                    check_number(f'{where}.{field}[{i}]', value, **limits)


def _check_integers(part: Dict[str, Any], where: str, **least: int) -> None:
    """Checks integers, where they are there."""
    for field, low in least.items():
        if field in part:
            check_integer(f'{where}.{field}', part[field], low, LARGEST)


def _check_booleans(part: Dict[str, Any], where: str, *fields: str) -> None:
    for field in fields:
        if field in part:
            check_boolean(f'{where}.{field}', part[field])


def check_data(cfg: Any, where: str) -> None:
    """Checks that the files of all data sets in a part of a config exist.

    Args:
        cfg: the part.
        where: its place in the config.

    Raises:
        InputError: for a ``data_root``, ``ann_file`` or ``data_prefix`` that is
            not there. What lies on other storage than disks is not looked for.
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
            f'{where}={path!r}: no such {kind}{below}; see README, "Data", '
            f'for what {dataset.get("type", "the dataset")} needs')
