"""What slimmable backbones share: layer configs, spaces, setting widths."""

from math import gcd, lcm
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule

from ...checks import check_integer, check_keys, shown
from ...errors import InputError
from ...structures import SearchSpace, Subnet, Width
from ...structures.search_space import DIVISOR, MULTIPLIERS
from ...supernet import Block, blank
from ..layers import SlicedModule
from ..narrowing import narrow
from .loading import fit_state

_CONV = dict(type='pss.SlimmableConv2d')
_BATCH_NORM = dict(type='pss.SlimmableBatchNorm2d')
_GROUP_NORM = dict(type='pss.SlimmableGroupNorm')
# The slimmable counterparts of the types of layers in configs.
SLIMMABLE_CONVS: Dict[Optional[str], Dict[str, Any]] = {
    None: _CONV,
    'Conv': _CONV,
    'Conv2d': _CONV,
    'pss.SlimmableConv2d': _CONV,
}
SLIMMABLE_NORMS: Dict[Optional[str], Dict[str, Any]] = {
    'BN': _BATCH_NORM,
    'BN2d': _BATCH_NORM,
    'SyncBN': dict(_BATCH_NORM, sync=True),
    'GN': _GROUP_NORM,
    'pss.SlimmableBatchNorm2d': _BATCH_NORM,
    'pss.SlimmableGroupNorm': _GROUP_NORM,
}
RESOLUTIONS = dict(start=128, stop=224, step=8)


class Drive(NamedTuple):
    """A layer whose output is a multiple of one of the widths: its
    ``active_out_channels`` can be set."""
    layer: Any
    width: int
    factor: int = 1

    @property
    def out_channels(self) -> int:
        """Channels that come out at full width."""
        channels: int = self.layer.sliced_channels if isinstance(
            self.layer, SlicedModule) else self.layer.out_channels
        return channels


def slimmable_cfg(cfg: Optional[dict], known: Dict[Optional[str], dict],
                  name: str) -> dict:
    """The config of a layer, with the slimmable counterpart of its type.

    Raises:
        InputError: if the type has none.
    """
    cfg = dict(cfg or {})
    kind = cfg.get('type')
    if kind not in known:
        raise InputError(f'{name}: type {kind!r} cannot change its width; '
                         f'expected one of {[k for k in known if k]}')
    return {**cfg, **known[kind]}


class WidthOptions(NamedTuple):
    """How one width differs from the others.

    Attributes:
        multipliers: its range; ``None`` for that of the space.
        multiple: its channels are multiples of this, too.
    """
    multipliers: Optional[Tuple[float, float]] = None
    multiple: int = 1


def build_space(
        drives: Sequence[Drive],
        cfg: Optional[Dict[str, Any]] = None,
        options: Optional[Sequence[WidthOptions]] = None) -> SearchSpace:
    """The search space of a backbone.

    Args:
        drives: the layers that the widths drive. The first one of a
            width, with a factor of 1, determines how many channels it has in
            the network as built.
        cfg: what differs from the paper's space: ``multipliers``, the range
            that multipliers are uniform in (0.75 to 1); ``divisor``, of which
            channels are multiples (8); ``resolutions``, a list or a dict of
            ``start``, ``stop`` (included) and ``step`` (128 to 224 in steps of
            8).
        options: of each width. With options, a width that is no multiple of
            ``divisor`` gets the largest divisor of both instead.

    Raises:
        InputError: if the space is impossible; it names the key and its value.
    """
    cfg = dict(cfg or {})
    where = 'search_space'
    check_keys(cfg, ('multipliers', 'divisor', 'resolutions'), where)
    divisor = cfg.get('divisor', DIVISOR)
    multipliers = check_multipliers(f'{where}.multipliers',
                                    cfg.get('multipliers', MULTIPLIERS))
    check_integer(f'{where}.divisor', divisor, least=1)
    bases: Dict[int, int] = {}
    for drive in drives:
        if drive.factor == 1:
            bases.setdefault(drive.width, drive.out_channels)
    widths = []
    for i, base in sorted(bases.items()):
        mine, step = multipliers, divisor
        if options is not None:
            mine = options[i].multipliers or multipliers
            step = lcm(gcd(divisor, base), options[i].multiple)
        width = Width.of(base, mine, step)
        if width.choices[-1] > base:
            raise InputError(
                f'{where}: rounding to multiples of divisor={divisor} gives '
                f'{width.choices[-1]} channels to a layer that has {base}; '
                f'expected a divisor of {base}')
        widths.append(width)
    resolutions = read_resolutions(cfg.get('resolutions', RESOLUTIONS))
    return SearchSpace(widths, resolutions, multipliers)


def check_multipliers(name: str, value: Any) -> Tuple[float, float]:
    """Returns a range of multipliers if it is one.

    Raises:
        InputError: if not.
    """
    if not isinstance(value, (list, tuple)) or len(value) != 2 \
            or not all(isinstance(m, (int, float)) for m in value) \
            or not 0 < value[0] <= value[1] <= 1:
        raise InputError(f'{name}={shown(value)}: expected two numbers, 0 < '
                         'lowest <= highest <= 1')
    lowest, highest = value
    return lowest, highest


def read_resolutions(cfg: Any) -> List[int]:
    """The resolutions of a space.

    Raises:
        InputError: if they are neither a list nor a range.
    """
    where = 'search_space.resolutions'
    if isinstance(cfg, (list, tuple, range)):
        return list(cfg)
    if not isinstance(cfg, dict):
        raise InputError(f'{where}={shown(cfg)}: expected a list of integers, '
                         'or a dict of start, stop and step')
    keys = ('start', 'stop', 'step')
    check_keys(cfg, keys, where)
    for key in keys:
        check_integer(f'{where}.{key}', cfg.get(key), least=1)
    return list(range(cfg['start'], cfg['stop'] + 1, cfg['step']))


def conv_block(module: ConvModule) -> Block:
    """A convolution with what follows it, as a block."""
    conv = module.conv
    return Block(
        'Conv2d',
        module,
        kernel_size=conv.kernel_size[0],
        stride=conv.stride[0])


def layer_types(blocks: Sequence[Block]) -> Set[str]:
    """The types of the layers in some blocks."""
    return {
        type(module).__name__
        for block in blocks
        for module in block.module.modules() if not any(module.children())
    }


class SlimmableBackbone(BaseModule):
    """What slimmable backbones inherit besides another project's class.

    Attributes:
        search_space (SearchSpace): the space of the backbone's subnets.
        active_subnet: the subnet that the next forward pass runs.
        drives (list): the layers that the widths drive; empty if the
            backbone is the plain network of one subnet.
        input_channels (int): channels of the images.
    """
    search_space: SearchSpace
    active_subnet: Subnet
    drives: List[Drive]
    input_channels: int

    def finish(self,
               drives: List[Drive],
               search_space: Optional[Dict[str, Any]],
               subnet: Optional[Dict[str, Any]],
               options: Optional[Sequence[WidthOptions]] = None) -> None:
        """Sets the space, and narrows the backbone to one subnet if asked to:
        constructors call it last.

        Args:
            drives: the layers that the widths drive.
            search_space, options: see :func:`build_space`.
            subnet: a subnet's ``resolution`` and ``widths``: the backbone is
                then that subnet's plain network, the only one in its space.
        """
        self.search_space = build_space(drives, search_space, options)
        self.drives = drives
        self.switch_to(self.search_space.largest)
        if subnet is not None:
            kept = self.search_space.validate(Subnet.from_dict(dict(subnet)))
            self.switch_to(kept)
            narrow(self, blank(self, kept.resolution))
            self.drives = []
            self.search_space = SearchSpace(
                [Width((width, ), (1., )) for width in kept.widths],
                [kept.resolution])
        self._register_load_state_dict_pre_hook(_fit_state, with_module=True)

    def blocks(self) -> List[Block]:
        """The parts that latency tables hold, in order."""
        raise NotImplementedError

    @property
    def costed(self) -> 'SlimmableBackbone':
        """The backbone itself, since its subnets' costs are counted on it."""
        return self

    @property
    def network(self) -> Dict[str, Any]:
        """What a latency depends on besides the sizes of blocks."""
        return dict(
            type=type(self).__name__, layers=sorted(layer_types(self.blocks())))

    def switch_to(self, subnet: Subnet) -> None:
        """Makes the next forward passes run the widths of ``subnet``."""
        for layer, width, factor in self.drives:
            layer.active_out_channels = subnet.widths[width] * factor
        self.active_subnet = subnet

    def driven_layers(self) -> List[List[str]]:
        """The names of the layers that each width drives."""
        names = {id(module): name for name, module in self.named_modules()}
        found: List[List[str]] = [[] for _ in self.search_space.widths]
        for layer, width, factor in self.drives:
            times = f' x {factor}' if factor > 1 else ''
            found[width].append(names[id(layer)] + times)
        return found

    def image_size(self, resolution: int) -> Tuple[int, int]:
        """Height and width of images at a resolution: squares."""
        return resolution, resolution


def _fit_state(backbone: SlimmableBackbone, state: Dict[str, Any], prefix: str,
               *args: Any) -> None:
    """Torch's hook before loading: a function, since modules are copied."""
    fit_state(state, prefix, backbone.state_dict(),
              None if backbone.drives else backbone.active_subnet)
