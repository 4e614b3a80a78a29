"""Values of the fields that every training and test has.

They are checked before anything is built. Fields that only one type has are
checked where that type is built.
"""

from typing import Any, Dict, Iterator, Tuple

from mmengine.config import Config
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner

from pss_command.arguments import LAUNCHERS

from ..checks import (
    LARGEST_SEED,
    LONGEST_PATH,
    check_boolean,
    check_choice,
    check_integer,
    check_keys,
    check_number,
    check_text,
    is_integer,
)
from ..engine.precision import AMP_TYPES
from ..errors import InputError
from ..registry import parameters
from .sections import TESTING, TRAINING, VALIDATION, check_dict, need_fields

LARGEST = 2**31 - 1  # of batches, epochs and the like
MOST_WORKERS = 1024  # processes of one loader
LOG_LEVELS = ('CRITICAL', 'FATAL', 'ERROR', 'WARNING', 'WARN', 'INFO', 'DEBUG',
              'NOTSET')


def check_values(cfg: Config) -> None:
    """Checks the values of the fields that all configs have.

    Raises:
        InputError: names the field, the value and what was expected.
    """
    for fields in (TRAINING, VALIDATION, TESTING):
        given = [field for field in fields if cfg.get(field) is not None]
        if given and len(given) < len(fields):
            need_fields(cfg, fields, f'{given[0]} is given, which')
    model = cfg.get('model') or {}
    for field in ('backbone', 'data_preprocessor', 'head', 'neck'):
        value = model.get(field)
        if field not in model or value is None and field != 'backbone' or \
                isinstance(value, (list, tuple)) and field in ('head', 'neck'):
            continue
        check_dict(f'model.{field}', value)
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
    """Checks the fields of the run as a whole."""
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
            check_dict(f'env_cfg.{field}', cfg.env_cfg[field])


def _check_loops(cfg: Config) -> None:
    """Checks the loops, including MMEngine's own."""
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
    """Checks the optimizer wrapper and its optimizer."""
    _check_integers(wrapper, 'optim_wrapper', accumulative_counts=1)
    for field in ('optimizer', 'paramwise_cfg', 'clip_grad'):
        if wrapper.get(field) is not None or \
                field == 'optimizer' in wrapper:
            check_dict(f'optim_wrapper.{field}', wrapper[field])
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
    """Checks one parameter scheduler."""
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
    """The configs of all data loaders, with their paths."""
    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(field) is not None:
            yield field, cfg[field]
    for field in ('val_cfg', 'test_cfg'):
        for key, value in (cfg.get(field) or {}).items():
            if str(key).endswith('_dataloader'):
                yield f'{field}.{key}', value


def _check_loader(loader: Any, where: str) -> None:
    """Checks one data loader."""
    check_dict(where, loader)
    for field in ('dataset', 'sampler'):
        if field not in loader:
            raise InputError(f'{where}.{field} is missing; a loader needs it')
        check_dict(f'{where}.{field}', loader[field])
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
    """Checks the number of classes, on which head and images must agree."""
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
    """Checks mean and std of pixels; a std of 0 would turn images into NaN."""
    model = cfg.get('model') or {}
    for where, images in (('model.data_preprocessor',
                           model.get('data_preprocessor')),
                          ('data_preprocessor', cfg.get('data_preprocessor'))):
        if not isinstance(images, dict):
            continue
        limits: Dict[str, Any]
        for field, limits in (('mean', {}), ('std', dict(above=0))):
            values = images.get(field)
            if isinstance(values, (list, tuple)):
                other = images.get('std')
                if isinstance(other, (list, tuple)) and \
                        len(values) != len(other):
                    raise InputError(f'{where}.mean has {len(values)} values: '
                                     f'expected {len(other)}, as std has')
                for i, value in enumerate(values):
                    check_number(f'{where}.{field}[{i}]', value, **limits)


def _check_integers(part: Dict[str, Any], where: str, **least: int) -> None:
    """Checks integers that are given, by their least values."""
    for field, low in least.items():
        if field in part:
            check_integer(f'{where}.{field}', part[field], low, LARGEST)


def _check_booleans(part: Dict[str, Any], where: str, *fields: str) -> None:
    for field in fields:
        if field in part:
            check_boolean(f'{where}.{field}', part[field])
