"""Schedules: functions of the progress of training."""

from typing import Any, Tuple

from ..checks import check_keys, check_number, shown
from ..errors import InputError


def exponential_decay(progress: float, start: float, ratio: float) -> float:
    """``start * ratio ** progress``, as the paper's ``p`` and ``t`` decay.

    Args:
        progress: share of training that is done: epoch / epochs, from 0.
        start: value at the beginning (the paper: 1).
        ratio: share of it that is left at the end (the paper: 0.01).
    """
    return float(start * ratio**progress)


def decay_of(name: str, cfg: Any) -> Tuple[float, float]:
    """Reads start and ratio of an exponential decay from a config.

    Args:
        name: of the field, for the message.
        cfg: ``start``, ``ratio`` or both; what is missing is the paper's.

    Raises:
        InputError: for other keys, or values that are not numbers above 0.
    """
    if not isinstance(cfg, dict):
        raise InputError(f'{name}={shown(cfg)}: expected start, ratio or both')
    check_keys(cfg, ('start', 'ratio'), name)
    start, ratio = cfg.get('start', 1.), cfg.get('ratio', 0.01)
    for key, value in (('start', start), ('ratio', ratio)):
        check_number(f'{name}.{key}', value, above=0)
    return start, ratio
