"""Whether the state in a checkpoint can be resumed from.

torch and MMEngine accept any state; a flaw shows up later, as an unrelated
error or as training that goes astray.
"""

from typing import Any, Dict

from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from ...checks import shown
from ...errors import InputError
from .cleaning import check_dense
from .entries import PROGRESS_KEY

MOST_LOGGED = 100_000_000  # values of one scalar; MMEngine keeps a million
LARGEST = 3e38  # torch fails on larger numbers when it uses them


def check_saved_state(checkpoint: Dict[str, Any], runner: Runner) -> None:
    """Compares a checkpoint with the run that resumes from it.

    Args:
        checkpoint: as read. Weights and pools are checked where they are
            loaded.
        runner: with optimizer and schedulers built.

    Raises:
        InputError: names the entry, its value and what was expected.
    """
    check_resumable(checkpoint)
    if PROGRESS_KEY in checkpoint:
        progress = _typed(checkpoint, PROGRESS_KEY, dict)
        for key in ('done', 'length'):
            _typed(progress, key, int, PROGRESS_KEY)
        if not 0 <= progress['done'] <= progress['length']:
            raise _wrong(f'{PROGRESS_KEY}.done', progress['done'],
                         f'0 to {shown(progress["length"])}')
    _check_log(checkpoint['message_hub'])
    _check_optimizer(checkpoint['optimizer'], runner.optim_wrapper)
    schedulers = runner.param_schedulers or []
    saved = _typed(checkpoint, 'param_schedulers', list) if schedulers else []
    if len(saved) != len(schedulers):
        raise _wrong('param_schedulers', f'{len(saved)} entries',
                     f'{len(schedulers)}, as in the config')
    for i, (one, scheduler) in enumerate(zip(saved, schedulers)):
        where = f'param_schedulers[{i}]'
        _check_same_form(one, scheduler.state_dict(), where)


def check_resumable(checkpoint: Dict[str, Any]) -> None:
    """Checks what can be checked without knowing the run.

    Raises:
        InputError: as in :func:`check_saved_state`.
    """
    meta = _typed(checkpoint, 'meta', dict)
    for key in ('epoch', 'iter'):
        if _typed(meta, key, int, 'meta') < 0:
            raise _wrong(f'meta.{key}', meta[key], 'at least 0')
    if meta.get('seed') is not None:
        _typed(meta, 'seed', int, 'meta')
    for key in ('optimizer', 'message_hub'):
        _typed(checkpoint, key, dict)


def _check_optimizer(saved: Dict[str, Any], wrapper: OptimWrapper) -> None:
    optimizer = wrapper.optimizer
    groups = _typed(saved, 'param_groups', list, 'optimizer')
    mine = optimizer.state_dict()['param_groups']
    if len(groups) != len(mine):
        raise _wrong('optimizer.param_groups', f'{len(groups)} entries',
                     f'{len(mine)}, as in the config')
    for i, (one, own) in enumerate(zip(groups, mine)):
        where = f'optimizer.param_groups[{i}]'
        _check_same_form(one, own, where)
        if one['params'] != own['params']:
            raise _wrong(f'{where}.params', one['params'], own['params'])
    if 'base_param_settings' in saved:  # MMEngine's, without parameters
        _check_same_form(saved['base_param_settings'],
                         wrapper.state_dict().get('base_param_settings'),
                         'optimizer.base_param_settings')
    parameters = [
        p for group in optimizer.param_groups for p in group['params']
    ]
    for key, entry in _typed(saved, 'state', dict, 'optimizer').items():
        where = f'optimizer.state[{shown(key)}]'
        if type(key) is not int or not 0 <= key < len(parameters):
            raise _wrong(where, 'its key', f'0 to {len(parameters) - 1}')
        if not isinstance(entry, dict):
            raise _wrong(where, entry, 'a dict')
        for name, value in entry.items():
            if isinstance(value, Tensor):
                check_dense(value, f"resume: the checkpoint's {where}.{name}")
            if isinstance(value, Tensor) and value.dim() and \
                    value.shape != parameters[key].shape:
                raise _wrong(f'{where}.{name}', tuple(value.shape),
                             tuple(parameters[key].shape))
            if not isinstance(value, (Tensor, int, float, type(None))):
                raise _wrong(f'{where}.{name}', value, 'a tensor or a number')
    if 'loss_scaler' in saved:
        scaler = _typed(saved, 'loss_scaler', dict, 'optimizer')
        for key, value in scaler.items():
            if not isinstance(value, (int, float)):
                raise _wrong(f'optimizer.loss_scaler.{key}', value, 'a number')


def _check_log(hub: Dict[str, Any]) -> None:
    for key in ('log_scalars', 'runtime_info', 'resumed_keys'):
        _typed(hub, key, dict, 'message_hub')
    kept = hub['runtime_info'].get('keep_ckpt_ids', [])
    if not isinstance(kept, list) or not all(type(i) is int for i in kept):
        raise _wrong('message_hub.runtime_info.keep_ckpt_ids', kept,
                     'a list of integers')
    for name, resumed in hub['resumed_keys'].items():
        if not isinstance(resumed, bool):
            raise _wrong(f'message_hub.resumed_keys.{name}', resumed,
                         'True or False')
    for name, saved in hub['log_scalars'].items():
        where = f'message_hub.log_scalars[{shown(name)}]'
        if not isinstance(saved, dict):
            raise _wrong(where, saved, 'a dict')
        for key in ('values', 'counts'):
            check_dense(
                _typed(saved, key, Tensor, where), f'resume: {where}.{key}')
            if saved[key].dim() != 1:
                raise _wrong(f'{where}.{key}', tuple(saved[key].shape),
                             'of one dimension')
        if len(saved['values']) != len(saved['counts']):
            raise _wrong(f'{where}.counts', f'{len(saved["counts"])} entries',
                         f'{len(saved["values"])}')
        if not 1 <= _typed(saved, 'max_length', int, where) <= MOST_LOGGED:
            raise _wrong(f'{where}.max_length', saved['max_length'],
                         f'1 to {MOST_LOGGED}')


def _check_same_form(saved: Any, own: Any, where: str) -> None:
    """Compares types, keys and shapes, not values; all numbers are alike."""
    if isinstance(own, dict):
        if not isinstance(saved, dict):
            raise _wrong(where, saved, 'a dict')
        for key, value in own.items():
            if key not in saved:
                raise _wrong(f'{where}.{key}', 'nothing', type(value).__name__)
            _check_same_form(saved[key], value, f'{where}.{key}')
        return
    if isinstance(own, (list, tuple)):
        if not isinstance(saved, (list, tuple)) or len(saved) != len(own):
            raise _wrong(where, saved, f'a list of {len(own)}')
        for i, value in enumerate(own):
            _check_same_form(saved[i], value, f'{where}[{i}]')
        return
    # an option of an optimizer may be None in one and a number in the other
    number = (int, float, type(None))
    if not isinstance(saved, number if isinstance(own, number) else type(own)):
        raise _wrong(where, saved, type(own).__name__)
    if isinstance(saved, (int, float)) and not abs(saved) < LARGEST:
        raise _wrong(where, saved, 'a number that float32 can hold')
    if isinstance(own, Tensor) and isinstance(saved, Tensor) and \
            saved.shape != own.shape:
        raise _wrong(where, tuple(saved.shape), tuple(own.shape))


def _typed(entries: Dict[str, Any],
           key: str,
           kind: type,
           where: str = '') -> Any:
    """An entry of a type; raises an error that names it for anything else."""
    name = f'{where}.{key}' if where else key
    if not isinstance(entries, dict) or key not in entries:
        raise _wrong(name, 'nothing', kind.__name__)
    value = entries[key]
    if not isinstance(value, kind) or kind is int and isinstance(value, bool):
        raise _wrong(name, value, kind.__name__)
    return value


def _wrong(name: str, value: Any, expected: Any) -> InputError:
    text = f'a tensor {tuple(value.shape)}' if isinstance(value, Tensor) \
        else value[:80] if isinstance(value, str) and value.isprintable() \
        else shown(value)
    words = expected if isinstance(expected, str) else shown(expected)
    return InputError(f"resume: the checkpoint's {name} is {text}; expected "
                      f'{words}')
