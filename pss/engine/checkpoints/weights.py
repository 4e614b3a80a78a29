"""Whether weights are sound, and whether they are a model's.

torch and MMEngine load what fits and go on from random weights for the rest.
"""

from collections import OrderedDict
from typing import Any, Dict, List, Optional

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import Tensor, nn

from ...checks import shown
from ...errors import InputError

_SHOWN = 3  # keys in an error
_LISTED = 20  # keys in a warning
_BACKBONE = 'backbone.'
# what a bank adds, see pss.models.backbones.loading
_KEPT = 'backbone.kept_statistics.'
_MODULE = 'module.'  # before the keys of a model in a distributed wrapper


def clean(checkpoint: Any, where: str) -> None:
    """Checks a checkpoint's form, and removes what would be run.

    ``meta.config`` goes: MMEngine, which does not write it, would run it as a
    program. So do attributes of the dicts that hold it and the weights, which
    a file may set and which could stand in for the dicts' own methods.

    Args:
        checkpoint: as read; changed.
        where: what messages call it.

    Raises:
        InputError: if it has no ``state_dict``, or a value in that is not a
            dense tensor with values; it names the key.
    """
    if not isinstance(checkpoint, dict) or 'state_dict' not in checkpoint or \
            not isinstance(checkpoint['state_dict'], dict):
        raise InputError(f'{where}: has no state_dict; expected a dict with '
                         'the weights by name in it')
    if 'meta' in checkpoint:
        meta = checkpoint['meta']
        if not isinstance(meta, dict):
            raise InputError(f'{where}: meta is {shown(meta)}; expected a dict')
        checkpoint['meta'] = {
            key: value
            for key, value in dict.items(meta) if key != 'config'
        }
    state = checkpoint['state_dict']
    for key, value in dict.items(state):
        if not isinstance(key, str):
            raise InputError(f'{where}: state_dict has the key {shown(key)}; '
                             'expected names')
        check_dense(value, f'{where}: {shown(key)[1:-1]}')
    # a parameter in a file may have attributes that hide a tensor's methods
    checkpoint['state_dict'] = plain = OrderedDict(
        (key, Tensor.detach(value)) for key, value in dict.items(state))
    versions = getattr(state, '_metadata', None)  # of the layers
    if versions is not None:
        if not _are_versions(versions):
            raise InputError(f'{where}: the versions of the layers, '
                             'state_dict._metadata, are damaged')
        plain._metadata = OrderedDict(versions)


def check_dense(value: Any, where: str) -> Tensor:
    """A tensor that has a value for each of its entries.

    Raises:
        InputError: for anything else.
    """
    flaw = None
    if type(value) not in (Tensor, nn.Parameter):
        flaw = f'a {type(value).__name__}'
    elif vars(value):
        flaw = f'a tensor with attributes ({shown(min(vars(value)))})'
    elif value.is_meta:
        flaw = 'a tensor without values'
    elif value.is_nested or value.layout != torch.strided:
        flaw = 'a nested tensor' if value.is_nested else \
            f'a tensor of layout {value.layout}'
    elif value.is_quantized:
        flaw = 'a quantised tensor'
    elif value.numel() * value.element_size() > \
            value.untyped_storage().nbytes():
        flaw = 'a tensor whose entries share their values'
    if flaw:
        raise InputError(f'{where} is {flaw}; expected a dense tensor')
    return value


def _are_versions(versions: Any) -> bool:
    return isinstance(versions, dict) and all(
        isinstance(key, str) and isinstance(entry, dict)
        and isinstance(entry.get('version', 0), (int, type(None)))
        for key, entry in dict.items(versions))


def own_model(model: nn.Module) -> nn.Module:
    """The model inside wrappers, whose keys checkpoints have."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def unwrapped(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Weights by the keys of a model that is not in a distributed wrapper.

    Raises:
        InputError: if two keys are the same then.
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
    """Checks that weights are a model's, all of them and no others.

    Args:
        state: its weights; dense, see :func:`clean`.
        model: in a wrapper or not.
        where: what messages call them.
        strict: whether counters of batch norms, which nobody reads, must be
            there too, and a bank's wider tensors may not.

    Raises:
        InputError: it names the first keys that are missing, unknown, of
            another shape or kind, or not finite.
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
    """Checks that weights are ones that training a model can start from.

    The whole backbone has to be there. What comes after it may be missing or
    of another shape, as for other classes, and starts anew.

    Args:
        state: the weights; dense, see :func:`clean`.
        model: in a wrapper or not.
        where: what messages call them.

    Returns:
        What starts anew and what is not used; ``None`` if all fits.

    Raises:
        InputError: it names the first keys of the backbone that are missing or
            of another shape; or of any part that are not finite.
    """
    found, wanted, model = _pair(state, model, where)
    backbone = [key for key in wanted if key.startswith(_BACKBONE)]
    unprefixed = [key for key in found if f'{_BACKBONE}{key}' in wanted]
    if unprefixed and not any(key.startswith(_BACKBONE) for key in found):
        raise InputError(
            f'{where}: holds a backbone alone, with keys such as '
            f'{unprefixed[0]}; expected {_BACKBONE}{unprefixed[0]}, as in a '
            "whole model's checkpoint, or the file as checkpoint of "
            "model.backbone.init_cfg=dict(type='Pretrained', checkpoint=...)")
    misfits = _misfits(found, wanted, _cuts(model))
    # without a backbone there is nothing that tells a head from the rest
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
    anew = [
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
        for text, keys in (('starts from its initialisation', anew),
                           ('is not in the model', unknown)) if keys
    ]
    return f'{where}: {"; ".join(parts)}' if parts else None


def _pair(state: Dict[str, Tensor], model: nn.Module, where: str):
    """Weights and those of the model, by the same keys, and the model."""
    model = own_model(model)
    try:
        return unwrapped(state), model.state_dict(), model
    except InputError as error:
        raise InputError(f'{where}: {error}') from None


def _cuts(model: nn.Module) -> bool:
    """Whether the backbone takes the first channels of wider tensors, see
    :mod:`pss.models.backbones.loading`."""
    inner = getattr(model, 'detector', model)
    return not getattr(getattr(inner, 'backbone', None), 'drives', True)


def _misfits(found: Dict[str, Tensor], wanted: Dict[str, Tensor],
             cut: bool) -> Dict[str, Dict[str, str]]:
    """What cannot be loaded, and how it reads, by what is wrong with it."""
    shapes, kinds = {}, {}
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
    """Checks the values that are loaded, in the precision they are used in."""
    for key, own in wanted.items():
        value = found.get(key)
        if value is None or not isinstance(own, Tensor) or \
                not own.is_floating_point():
            continue
        value = value[tuple(slice(size) for size in own.shape)]
        if not bool(value.to(own.dtype).isfinite().all()):
            raise InputError(f'{where}: {key} is not finite; expected finite '
                             'numbers')


def _first(keys: Any, most: int = _SHOWN) -> str:
    """The first keys, each shortened and printable."""
    keys: List[str] = list(keys)
    return ', '.join(shown(key, 160)[1:-1] for key in keys[:most]) + \
        (', ...' if len(keys) > most else '')


def _is_counter(key: str) -> bool:
    return key.rpartition('.')[2] == 'num_batches_tracked'


def _is_kept(key: str) -> bool:
    return key.startswith(_KEPT)
