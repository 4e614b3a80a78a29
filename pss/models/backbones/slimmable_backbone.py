"""What slimmable backbones share: layer configs, spaces, setting widths."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from torch import nn

from ...checks import check_keys
from ...errors import InputError
from ...structures import SearchSpace, Subnet, Width
from ...structures.search_space import DIVISOR, MULTIPLIERS
from ...supernet import Block, blank
from ..layers import SlimmableConv2d
from ..narrowing import narrow
from .loading import accept_checkpoints

# what stands in for a type of layer
_CONV = dict(type='pss.SlimmableConv2d')
_BATCH_NORM = dict(type='pss.SlimmableBatchNorm2d')
_GROUP_NORM = dict(type='pss.SlimmableGroupNorm')
SLIMMABLE_CONVS = {
    None: _CONV,
    'Conv': _CONV,
    'Conv2d': _CONV,
    'pss.SlimmableConv2d': _CONV,
}
SLIMMABLE_NORMS = {
    'BN': _BATCH_NORM,
    'BN2d': _BATCH_NORM,
    'SyncBN': dict(_BATCH_NORM, sync=True),
    'GN': _GROUP_NORM,
    'pss.SlimmableBatchNorm2d': _BATCH_NORM,
    'pss.SlimmableGroupNorm': _GROUP_NORM,
}
RESOLUTIONS = dict(start=128, stop=224, step=8)


class Drive(NamedTuple):
    """A convolution whose output is a multiple of one of the widths."""
    conv: SlimmableConv2d
    width: int
    factor: int = 1


def slimmable_cfg(cfg: Optional[dict], legal: Dict[Optional[str], dict],
                  name: str) -> dict:
    """The config of a layer with its type's slimmable counterpart.

    Raises:
        InputError: for a type that has none.
    """
    cfg = dict(cfg or {})
    kind = cfg.get('type')
    if kind not in legal:
        raise InputError(f'{name}: type {kind!r} cannot change its width; '
                         f'expected one of {[k for k in legal if k]}')
    return {**cfg, **legal[kind]}


def build_space(drives: Sequence[Drive],
                cfg: Optional[Dict[str, Any]] = None) -> SearchSpace:
    """The search space of a backbone.

    Args:
        drives: the convolutions that the widths drive. The first one of a
            width, with a factor of 1, says how many channels it has in the
            network as built.
        cfg: what differs from the paper's space: ``multipliers``, the range
            that multipliers are uniform in (0.75 to 1); ``divisor``, which
            channels are rounded to multiples of (8); ``resolutions``, a list
            or a dict of ``start``, ``stop`` (included) and ``step`` (128 to
            224 in steps of 8).

    Raises:
        InputError: for an illegal space, saying what is wrong with it.
    """
    cfg = dict(cfg or {})
    where = 'search_space'
    check_keys(cfg, ('multipliers', 'divisor', 'resolutions'), where)
    multipliers = cfg.get('multipliers', MULTIPLIERS)
    divisor = cfg.get('divisor', DIVISOR)
    if not isinstance(multipliers, (list, tuple)) or len(multipliers) != 2 \
            or not all(isinstance(m, (int, float)) for m in multipliers) \
            or not 0 < multipliers[0] <= multipliers[1] <= 1:
        raise InputError(f'{where}.multipliers={multipliers!r} must be two '
                         'numbers, 0 < lowest <= highest <= 1')
    if isinstance(divisor, bool) or not isinstance(divisor, int) \
            or divisor < 1:
        raise InputError(f'{where}.divisor={divisor!r} must be an integer of '
                         'at least 1')
    bases: Dict[int, int] = {}
    for drive in drives:
        if drive.factor == 1:
            bases.setdefault(drive.width, drive.conv.out_channels)
    widths = []
    for _, base in sorted(bases.items()):
        width = Width.of(base, multipliers, divisor)
        if width.choices[-1] > base:
            raise InputError(
                f'{where}: rounding to multiples of divisor={divisor} gives '
                f'{width.choices[-1]} channels to a layer that has {base}; '
                f'expected divisors of {base}')
        widths.append(width)
    resolutions = _resolutions(cfg.get('resolutions', RESOLUTIONS), where)
    return SearchSpace(widths, resolutions, multipliers)


def _resolutions(cfg: Any, where: str) -> List[int]:
    if not isinstance(cfg, dict):
        return list(cfg)
    keys = ('start', 'stop', 'step')
    check_keys(cfg, keys, f'{where}.resolutions')
    for key in keys:
        value = cfg.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f'{where}.resolutions.{key}={value!r} must be an '
                             'integer of at least 1')
    return list(range(cfg['start'], cfg['stop'] + 1, cfg['step']))


def conv_block(module: nn.Module) -> Block:
    """A convolution with what follows it, as a block."""
    conv = module.conv
    return Block(
        'Conv2d',
        module,
        kernel_size=conv.kernel_size[0],
        stride=conv.stride[0])


def set_widths(drives: List[Drive], subnet: Subnet) -> None:
    """Makes convolutions put out the subnet's channels."""
    for conv, width, factor in drives:
        conv.active_out_channels = subnet.widths[width] * factor


def finish(backbone: nn.Module, drives: List[Drive],
           search_space: Optional[Dict[str, Any]],
           subnet: Optional[Dict[str, Any]]) -> None:
    """Gives a backbone its space, and makes it one subnet's if asked for.

    Args:
        backbone: gets ``search_space`` and ``active_subnet``.
        drives: the convolutions that the widths drive.
        search_space: see :func:`build_space`.
        subnet: a subnet's ``resolution`` and ``widths``: the backbone is then
            that subnet's plain network, and its space holds nothing else.
    """
    backbone.search_space = build_space(drives, search_space)
    backbone.drives = drives
    backbone.switch_to(backbone.search_space.largest)
    if subnet is not None:
        kept = backbone.search_space.validate(Subnet.from_dict(dict(subnet)))
        backbone.switch_to(kept)
        narrow(backbone, blank(backbone, kept.resolution))
        backbone.drives = []
        backbone.search_space = SearchSpace(
            [Width((width, ), (1., )) for width in kept.widths],
            [kept.resolution])
    accept_checkpoints(backbone)
