"""What slimmable backbones share: layer configs, spaces, setting widths."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ...errors import InputError
from ...registry import check_keys
from ...structures import SearchSpace, Subnet, Width
from ..layers import SlimmableConv2d

SLIMMABLE_CONVS = {
    None: 'pss.SlimmableConv2d',
    'Conv': 'pss.SlimmableConv2d',
    'Conv2d': 'pss.SlimmableConv2d',
    'pss.SlimmableConv2d': 'pss.SlimmableConv2d',
}
SLIMMABLE_NORMS = {
    'BN': 'pss.SlimmableBatchNorm2d',
    'BN2d': 'pss.SlimmableBatchNorm2d',
    'GN': 'pss.SlimmableGroupNorm',
    'pss.SlimmableBatchNorm2d': 'pss.SlimmableBatchNorm2d',
    'pss.SlimmableGroupNorm': 'pss.SlimmableGroupNorm',
}
RESOLUTIONS = dict(start=128, stop=224, step=8)


class Drive(NamedTuple):
    """A convolution whose output is a multiple of one of the widths."""
    conv: SlimmableConv2d
    width: int
    factor: int


def slimmable_cfg(cfg: Optional[dict], legal: Dict[Optional[str], str],
                  name: str) -> dict:
    """The config of a layer with its type's slimmable counterpart.

    Raises:
        InputError: for a type that has none.
    """
    cfg = dict(cfg or {})
    kind = cfg.get('type')
    if kind not in legal:
        raise InputError(f'{name}: type {kind!r} cannot change its width; '
                         f'legal types are {[k for k in legal if k]}')
    return {**cfg, 'type': legal[kind]}


def build_space(bases: Sequence[int],
                cfg: Optional[Dict[str, Any]]) -> SearchSpace:
    """The search space of a backbone.

    Args:
        bases: channels of each width in the network as built.
        cfg: ``resolutions``, a list or a dict of ``start``, ``stop`` (included)
            and ``step``. Defaults to the paper's 128 to 224 in steps of 8.
    """
    cfg = dict(cfg or {})
    check_keys(cfg, ('resolutions', ), 'search_space')
    resolutions = cfg.get('resolutions', RESOLUTIONS)
    if isinstance(resolutions, dict):
        check_keys(resolutions, ('start', 'stop', 'step'),
                   'search_space.resolutions')
        resolutions = range(resolutions['start'], resolutions['stop'] + 1,
                            resolutions['step'])
    return SearchSpace([Width.of(base) for base in bases], list(resolutions))


def set_widths(drives: List[Drive], subnet: Subnet) -> None:
    """Makes convolutions put out the subnet's channels."""
    for conv, width, factor in drives:
        conv.active_out_channels = subnet.widths[width] * factor

