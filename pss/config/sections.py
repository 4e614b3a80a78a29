"""The sections of a config: which are required, and which have to be dicts."""

from typing import Any, Sequence

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from ..checks import check_boolean, check_keys, shown
from ..errors import InputError
from .failures import said

TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper')
VALIDATION = ('val_dataloader', 'val_cfg', 'val_evaluator')
TESTING = ('test_dataloader', 'test_cfg', 'test_evaluator')

_DICTS_OR_NONE = ('model', 'data_preprocessor', 'train_dataloader',
                  'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg',
                  'test_cfg', 'optim_wrapper', 'auto_scale_lr', 'default_hooks',
                  'visualizer', 'log_processor', 'model_wrapper_cfg',
                  'custom_imports')
_DICTS = ('env_cfg', 'randomness')
# a dict, a list of dicts, or None
_LISTS_OR_NONE = ('val_evaluator', 'test_evaluator', 'param_scheduler',
                  'custom_hooks')


def need_fields(cfg: Config, fields: Sequence[str], what: str = '') -> None:
    """Checks that a config has fields.

    Args:
        cfg: the config.
        fields: their names.
        what: what needs them, for the message.

    Raises:
        InputError: for the first that is missing or ``None``.
    """
    for field in fields:
        if cfg.get(field) is None:
            hint = f'; {what} needs it' if what else ''
            raise InputError(f'{name_of(cfg)}: {field} is missing{hint}')


def name_of(cfg: Config) -> str:
    """A config's name in messages."""
    return f'config {cfg.filename}' if cfg.filename else 'config'


def check_sections(cfg: Config) -> None:
    """Checks that the sections of a config are dicts.

    Raises:
        InputError: for the first that is not.
    """
    for field in (*_DICTS_OR_NONE, *_DICTS):
        value = cfg.get(field)
        if field not in cfg or value is None and field in _DICTS_OR_NONE:
            continue
        check_dict(f'{name_of(cfg)}: {field}', value)
    for field in _LISTS_OR_NONE:
        value = cfg.get(field)
        where = f'{name_of(cfg)}: {field}'
        if isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                check_dict(f'{where}[{i}]', item)
        elif value is not None:
            check_dict(where, value, ' or a list of them')
    for key, hook in (cfg.get('default_hooks') or {}).items():
        if hook is not None:
            check_dict(f'{name_of(cfg)}: default_hooks.{key}', hook)


def check_dict(where: str, value: Any, more: str = '') -> None:
    """Checks that a value is a dict.

    Args:
        where: its path in the config, for the message.
        value: to check.
        more: what else was expected, for the message.

    Raises:
        InputError: if it is not a dict.
    """
    if not isinstance(value, dict):
        raise InputError(f'{where}={shown(value)}: expected a dict{more}')


def import_modules(cfg: Config) -> None:
    """Imports the modules that ``custom_imports`` names.

    Raises:
        InputError: if one cannot be imported; names it and the reason.
    """
    custom = cfg.get('custom_imports')
    if custom is None:
        return
    check_dict('custom_imports', custom)
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
