"""Whether weights fit a model: all of them, or enough to start training from.

torch and MMEngine load what fits, and leave random weights for the rest.
"""

from typing import Any, Dict, Iterable, Optional, Tuple

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import Tensor, nn

from ...checks import shown
from ...errors import InputError

_SHOWN = 3  # keys in an error
_LISTED = 20  # keys in a warning
_BACKBONE = 'backbone.'
# added by a bank, see pss.models.backbones.loading
_KEPT = 'backbone.kept_statistics.'
_MODULE = 'module.'  # begins the keys of a model in a distributed wrapper


def own_model(model: nn.Module) -> nn.Module:
    """The model inside its wrappers; checkpoints have its keys."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.get_submodule('module')
    return model


def unwrapped(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Weights by the keys of a model without a distributed wrapper.

    Raises:
        InputError: if two keys become the same.
    """
    found = {
        key[len(_MODULE):] if key.startswith(_MODULE) else key: value
        for key, value in state.items()
    }
    if len(found) < len(state):
        twice = next(key for key in state if f'{_MODULE}{key}' in state)
        raise InputError(f'has both {twice} and {_MODULE}{twice}; expected one '
                         'of them')
    return found


def check_same(state: Dict[str, Tensor],
               model: nn.Module,
               where: str,
               strict: bool = True) -> None:
    """Checks that weights are exactly those of a model.

    Args:
        state: the weights; dense, see :func:`.clean`.
        model: in a wrapper or not.
        where: name of the weights in messages.
        strict: if ``False``, counters of batch norms, which nothing reads, may
            be missing, and a bank's entries and wider tensors are accepted.

    Raises:
        InputError: names the first keys that are missing, unknown, of another
            shape or kind of number, or not finite.
    """
    found, wanted, model = _pair(state, model, where)
    cut = not strict and _cuts(model) and \
        any(_is_kept(key) for key in found)
    missing = [
        key for key in wanted
        if key not in found and (strict or not _is_counter(key))
    ]
    unknown = [
        key for key in found
        if key not in wanted and (strict or not _is_kept(key))
    ]
    _refuse(
        where, model, {
            'keys are missing': missing,
            'keys are unknown': unknown,
            **_misfits(found, wanted, cut)
        })
    _check_finite(found, wanted, where)


def check_start(state: Dict[str, Tensor], model: nn.Module,
                where: str) -> Optional[str]:
    """Checks that training a model can start from weights.

    The whole backbone is required. Layers after it may be missing or have
    another shape, for example for other classes; they start from their
    initialisation.

    Args:
        state: the weights; dense, see :func:`.clean`.
        model: in a wrapper or not.
        where: name of the weights in messages.

    Returns:
        A warning that lists the model's other keys and those that are not
        used; ``None`` if all fit.

    Raises:
        InputError: names the first keys of the backbone that are missing or
            of another shape, or of any part that are not finite.
    """
    found, wanted, model = _pair(state, model, where)
    backbone = [key for key in wanted if key.startswith(_BACKBONE)]
    unprefixed = [key for key in found if f'{_BACKBONE}{key}' in wanted]
    if unprefixed and not any(key.startswith(_BACKBONE) for key in found):
        raise InputError(
            f'{where}: holds only a backbone, with keys such as '
            f'{unprefixed[0]}; expected {_BACKBONE}{unprefixed[0]}, as in a '
            "whole model's checkpoint, or the file as checkpoint of "
            "model.backbone.init_cfg=dict(type='Pretrained', checkpoint=...)")
    misfits = _misfits(found, wanted, _cuts(model))
    # without a backbone, nothing distinguishes a head from the rest
    must_fit = set(backbone or wanted)
    _refuse(
        where, model, {
            'keys of the backbone are missing': [
                key
                for key in backbone if key not in found and not _is_counter(key)
            ],
            'have another shape': {
                key: text
                for key, text in misfits['have another shape'].items()
                if key in must_fit
            },
            'have another kind of number':
            misfits['have another kind of number']
        })
    initialised = [
        key for key in wanted if not _is_counter(key) and (
            key not in found or key in misfits['have another shape'])
    ]
    used = [
        key for key in wanted
        if key in found and key not in misfits['have another shape']
    ]
    if wanted and not used:
        raise InputError(
            f'{where}: not of this architecture ({type(model).__name__}); '
            f'none of its keys is there, such as {next(iter(wanted))}')
    _check_finite({key: found[key] for key in used}, wanted, where)
    unknown = [key for key in found if key not in wanted and not _is_kept(key)]
    parts = [
        f'{text} ({len(keys)}): {_first(keys, _LISTED)}'
        for text, keys in (('starts from its initialisation', initialised),
                           ('is not in the model', unknown)) if keys
    ]
    return f'{where}: {"; ".join(parts)}' if parts else None


def _pair(state: Dict[str, Tensor], model: nn.Module,
          where: str) -> Tuple[Dict[str, Tensor], Dict[str, Any], nn.Module]:
    """The given weights and the model's, by the same keys, and the model."""
    model = own_model(model)
    try:
        return unwrapped(state), model.state_dict(), model
    except InputError as error:
        raise InputError(f'{where}: {error}') from None


def _cuts(model: nn.Module) -> bool:
    """Whether the backbone loads the first channels of wider tensors, see
    :mod:`pss.models.backbones.loading`."""
    inner = getattr(model, 'detector', model)
    return not getattr(getattr(inner, 'backbone', None), 'drives', True)


def _misfits(found: Dict[str, Tensor], wanted: Dict[str, Tensor],
             cut: bool) -> Dict[str, Dict[str, str]]:
    """What cannot be loaded: by flaw, the keys and their words in a message."""
    shapes: Dict[str, str] = {}
    kinds: Dict[str, str] = {}
    for key, own in wanted.items():
        if key not in found or not isinstance(own, Tensor):
            continue
        value = found[key]
        if value.shape != own.shape and not (cut and key.startswith(_BACKBONE)
                                             and _is_wider(value, own)):
            shapes[key] = (f'{key} ({tuple(value.shape)} instead of '
                           f'{tuple(own.shape)})')
        elif value.is_floating_point() != own.is_floating_point() or \
                value.is_complex() != own.is_complex():
            kinds[key] = f'{key} ({value.dtype} instead of {own.dtype})'
    return {'have another shape': shapes, 'have another kind of number': kinds}


def _is_wider(value: Tensor, own: Tensor) -> bool:
    return value.dim() == own.dim() and value.shape[2:] == own.shape[2:] and \
        all(a >= b for a, b in zip(value.shape, own.shape))


def _refuse(where: str, model: nn.Module, wrong: Dict[str, Any]) -> None:
    """Raises an error if anything is wrong."""
    parts = [
        f'{len(keys)} {what}: '
        f'{_first(keys.values() if isinstance(keys, dict) else keys)}'
        for what, keys in wrong.items() if keys
    ]
    if parts:
        raise InputError(f'{where}: not of this architecture '
                         f'({type(model).__name__}); {"; ".join(parts)}')


def _check_finite(found: Dict[str, Tensor], wanted: Dict[str, Tensor],
                  where: str) -> None:
    """Checks the values to be loaded, in the precision they are used in."""
    for key, own in wanted.items():
        value = found.get(key)
        if value is None or not isinstance(own, Tensor) or \
                not own.is_floating_point():
            continue
        value = value[tuple(slice(size) for size in own.shape)]
        if not bool(value.to(own.dtype).isfinite().all()):
            raise InputError(f'{where}: {key} is not finite; expected finite '
                             'numbers')


def _first(keys: Iterable[str], most: int = _SHOWN) -> str:
    """The first keys, each shortened and printable."""
    found = list(keys)
    return ', '.join(shown(key, 160)[1:-1] for key in found[:most]) + \
        (', ...' if len(found) > most else '')


def _is_counter(key: str) -> bool:
    return key.rpartition('.')[2] == 'num_batches_tracked'


def _is_kept(key: str) -> bool:
    return key.startswith(_KEPT)
