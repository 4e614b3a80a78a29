"""The part of a config that could not be built, found from a traceback.

Exceptions come from everywhere: MMEngine, torch and the classes that a config
names. Their tracebacks show which part was being built.
"""

import traceback
from types import FrameType
from typing import Any, Dict, Iterable, Iterator, Optional, Tuple

from mmengine.config import Config
from mmengine.runner import Runner

# Fields of a config that a Runner builds; other fields are variables.
BUILT = ('model', 'data_preprocessor', 'model_wrapper_cfg', 'train_dataloader',
         'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg',
         'test_cfg', 'val_evaluator', 'test_evaluator', 'optim_wrapper',
         'param_scheduler', 'default_hooks', 'custom_hooks', 'visualizer',
         'log_processor')
# Methods that MMEngine's Runner calls before it trains or tests, and the field
# of the config that each one uses.
_STEPS = {
    'from_cfg': '',
    '__init__': '',
    'setup_env': 'env_cfg',
    'set_randomness': 'randomness',
    'build_logger': 'log_level',
    'build_log_processor': 'log_processor',
    'build_visualizer': 'visualizer',
    'build_model': 'model',
    'wrap_model': 'model_wrapper_cfg',
    'register_default_hooks': 'default_hooks',
    'register_custom_hooks': 'custom_hooks',
    'build_train_loop': 'train_cfg',
    'build_val_loop': 'val_cfg',
    'build_test_loop': 'test_cfg',
    'build_dataloader': '',
    'build_evaluator': '',
    'build_optim_wrapper': 'optim_wrapper',
    'scale_lr': 'auto_scale_lr',
    'build_param_scheduler': 'param_scheduler',
    'dump_config': ''
}


def built_part(error: BaseException) -> Optional[str]:
    """Finds the part of a config that could not be built.

    Args:
        error: with its traceback.

    Returns:
        Its path, such as ``model.backbone``; an empty text if it is not known;
        ``None`` if the exception was not raised while building.
    """
    config = config_of(error)
    whole = {} if config is None else {
        key: config[key]
        for key in BUILT if key in config
    }
    found: Optional[str] = None
    here: Any = whole
    for frame in _frames(error):
        module, name = frame.f_globals.get('__name__'), frame.f_code.co_name
        part = None
        if module == 'mmengine.runner.runner' and name in _STEPS:
            found = _STEPS[name] or found or ''
            here = whole.get(found, here)
            part = frame.f_locals.get('dataloader')
        elif module == 'mmengine.registry.build_functions':
            found = found or ''
            part = frame.f_locals.get('cfg')
        if not isinstance(part, dict) or not part:
            continue
        for start, where in ((here, found or ''), (whole, '')):
            place = next(_places(part, start, where), None)
            if place is not None:
                found, here = place
                break
    return found


def _places(part: Dict[str, Any],
            config: Any,
            where: str = '') -> Iterator[Tuple[str, Any]]:
    """The places in a config that a part may come from, and their values."""
    if isinstance(config, dict) and _is_from(part, config) and where:
        yield where, config
    items: Iterable[Tuple[Any, Any]] = \
        enumerate(config) if isinstance(config, (list, tuple)) else \
        config.items() if isinstance(config, dict) else ()
    for key, value in items:
        yield from _places(part, value, f'{where}.{key}'.strip('.'))


def _is_from(part: Dict[str, Any], original: Dict[str, Any]) -> bool:
    """Whether a part is a config's entry; keys may have been added to it."""
    if 'type' in original:
        return all(key in part and part[key] == value
                   for key, value in original.items())
    return part == original


def config_of(error: BaseException) -> Optional[Config]:
    """The config of the run that an exception ended, if there is one."""
    for frame in _frames(error):
        runner = frame.f_locals.get('self')
        for value in (runner.cfg if isinstance(runner, Runner)
                      and hasattr(runner, 'cfg') else None,
                      frame.f_locals.get('cfg'), frame.f_locals.get('config')):
            if isinstance(value, Config):
                return value
    return None


def _frames(error: BaseException) -> Iterator[FrameType]:
    for frame, _ in traceback.walk_tb(error.__traceback__):
        yield frame
