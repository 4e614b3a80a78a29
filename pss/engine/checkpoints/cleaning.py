"""The form of a checkpoint: dense weights, and nothing that would be run."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from ...checks import shown
from ...errors import InputError


def clean(checkpoint: Any, where: str) -> None:
    """Checks the form of a checkpoint, and removes what would be run.

    ``meta.config`` is removed: MMEngine does not write it, but would run it as
    a program. Attributes of ``meta`` and ``state_dict`` are removed as well: a
    file may set them to replace the methods of these dicts.

    Args:
        checkpoint: as read; changed in place.
        where: its name in messages.

    Raises:
        InputError: if it has no ``state_dict``, or one of the values there is
            not a dense tensor; names the key.
    """
    if not isinstance(checkpoint, dict) or 'state_dict' not in checkpoint or \
            not isinstance(checkpoint['state_dict'], dict):
        raise InputError(f'{where}: has no state_dict; expected a dict of '
                         'weights by name in it')
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
                             'expected a name')
        check_dense(value, f'{where}: {shown(key)[1:-1]}')
    # a parameter in a file may have attributes that hide methods of tensors
    plain = OrderedDict(
        (key, Tensor.detach(value)) for key, value in dict.items(state))
    checkpoint['state_dict'] = plain
    versions = getattr(state, '_metadata', None)  # of the layers
    if versions is not None:
        if not _are_versions(versions):
            raise InputError(f'{where}: the versions of the layers, '
                             'state_dict._metadata, are damaged')
        vars(plain)['_metadata'] = OrderedDict(versions)


def check_dense(value: Any, where: str) -> Tensor:
    """Checks that a value is a tensor that stores every one of its entries.

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
    """Whether these can be the versions that modules put into their state."""
    return isinstance(versions, dict) and all(
        isinstance(key, str) and isinstance(entry, dict)
        and isinstance(entry.get('version', 0), (int, type(None)))
        for key, entry in dict.items(versions))
