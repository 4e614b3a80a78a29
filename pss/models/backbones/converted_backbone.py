"""Any convolutional backbone as a supernet."""

import hashlib
import re
from collections import Counter
from fnmatch import fnmatchcase
from fractions import Fraction
from math import lcm
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...checks import check_integer, shown
from ...errors import InputError
from ...registry import MODELS
from ...structures import Subnet
from ...supernet import Block, evaluating, run_blank
from ..layers import slice_module
from ..widening import make_slimmable
from .block_finding import find_blocks
from .channel_groups import Group, Member, channel_axis, channel_groups
from .slimmable_backbone import (
    RESOLUTIONS,
    Drive,
    SlimmableBackbone,
    WidthOptions,
    check_multipliers,
    read_resolutions,
)

# Layers that are replaced; others run with slices of their own parameters.
REPLACED = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.SyncBatchNorm,
            nn.GroupNorm)


@MODELS.register_module(name='SlimmableBackbone')
def slimmable_backbone(
        backbone: Union[Dict[str, Any], nn.Module],
        input_size: Optional[int] = None,
        input_channels: Optional[int] = None,
        exclude: Sequence[str] = (),
        tie: Sequence[str] = (),
        multipliers: Optional[Dict[str, Tuple[float, float]]] = None,
        search_space: Optional[Dict[str, Any]] = None,
        subnet: Optional[Dict[str, Any]] = None) -> 'ConvertedBackbone':
    r"""Makes a supernet of a convolutional backbone.

    Which layers share a width follows from the network itself: it is run once,
    and its channels are followed (:mod:`.channel_groups`). Each group of layers
    gets a width of its own. Layers are replaced by slimmable ones in place, so
    that the state dict has the same keys and shapes; at the largest subnet it
    computes the same.

    Patterns are those of the shell (``layer4.*``), and are matched with the
    names of layers whose output has the width: any of a group's layers will do.

    Args:
        backbone: the config of a backbone; its type may be the path of a class,
            ``mypackage.nets.MyNet``. In Python also a network itself, which is
            changed. A tensor that it returns becomes a tuple of one.
        input_size: height and width in pixels of the image that it is run on;
            by default the largest resolution.
        input_channels: of the images; by default what the first convolution
            takes.
        exclude: patterns of layers that keep their width.
        tie: regular expressions with groups. Layers whose names match with
            equal groups get the same width: ``(layer\d\.\d+)\.conv[12]`` ties
            the first two convolutions of each block of a ResNet, and
            ``(layer\d)\.\d+\.conv[12]`` those of each stage.
        multipliers: ranges that differ from the space's, by pattern; of several
            that match, the last counts.
        search_space: see :func:`.build_space`. A width that is no multiple of
            ``divisor`` has the largest divisor of both instead.
        subnet: the subnet whose plain network to build, instead of a supernet.

    Raises:
        InputError: if a width cannot change, and is not excluded; it names the
            layers and the reason.
    """
    network = backbone if isinstance(backbone, nn.Module) else \
        MODELS.build(backbone)
    resolutions = read_resolutions((search_space
                                    or {}).get('resolutions', RESOLUTIONS))
    size = max(resolutions) if input_size is None else \
        check_integer('input_size', input_size, 1)
    channels = _input_channels(network) if input_channels is None else \
        check_integer('input_channels', input_channels, 1)
    parameter = next(network.parameters())
    image = parameter.new_zeros((1, channels, size, size))
    groups = _changeable(channel_groups(network, image), exclude)
    units = _tied(groups, tie)
    options = _options(units, multipliers or {})
    return _convert(network, channels, units, options, search_space, subnet)


def _input_channels(network: nn.Module) -> int:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    raise InputError(f'backbone: {type(network).__name__} has no convolution; '
                     'expected input_channels')


def _changeable(groups: List[Group], exclude: Sequence[str]) -> List[Group]:
    """The groups that are not excluded."""
    _check_patterns('exclude', exclude, groups)
    kept = [
        group for group in groups
        if not any(_matches(group, pattern) for pattern in exclude)
    ]
    refused = [group for group in kept if group.reason]
    if refused:
        reasons = [f'{_names(group)}: {group.reason}' for group in refused]
        more = f'; and {len(reasons) - 5} more' if len(reasons) > 5 else ''
        raise InputError('backbone: layers cannot change their width: '
                         f'{"; ".join(reasons[:5])}{more}; they keep '
                         f'it with exclude={_patterns_of(refused, kept)}')
    if not kept:
        raise InputError('exclude: every layer is excluded')
    return kept


def _matches(group: Group, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in group.driven)


def _patterns_of(refused: List[Group], groups: List[Group]) -> List[str]:
    """Few patterns that match each of the refused groups and no other."""
    others = [group for group in groups if not group.reason]
    patterns: List[str] = []
    for group in refused:
        if not group.driven or \
                any(_matches(group, pattern) for pattern in patterns):
            continue
        name = group.driven[0]
        wide = (
            re.sub(number, '*', name)
            for number in (r'\d+', r'\b\d+\b(?=.*\d)'))
        patterns.append(
            next((pattern for pattern in wide
                  if not any(_matches(other, pattern) for other in others)),
                 name))
    return patterns


def _names(group: Group) -> str:
    """Some of a group's layers, for a message."""
    return ', '.join(group.driven[:3]) or group.members[0].name


def _check_patterns(field: str, patterns: Sequence[str],
                    groups: List[Group]) -> None:
    names = [name for group in groups for name in group.driven]
    if isinstance(patterns, str):
        raise InputError(f'{field}={shown(patterns)}: expected a list')
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(
                f'{field}: {shown(pattern)} matches no layer; expected '
                f'patterns of {", ".join(names[:8])}, ...')


def _tied(units: List[Group], tie: Sequence[str]) -> List[Group]:
    """Units with those made one whose layers' names match alike."""
    if isinstance(tie, str):
        raise InputError(f'tie={shown(tie)}: expected a list')
    for text in tie:
        try:
            pattern = re.compile(text)
        except re.error as error:
            raise InputError(f'tie: {shown(text)}: {error}') from None
        places: Dict[Any, int] = {}
        merged: List[Group] = []
        for unit in units:
            found = [
                m for name in unit.driven if (m := pattern.fullmatch(name))
            ]
            keys = {match.groups() for match in found}
            place = next((places[key] for key in keys if key in places),
                         len(merged))
            merged[place:place +
                   1] = [_united([*merged[place:place + 1], unit])]
            places.update(dict.fromkeys(keys, place))
        if not places:
            raise InputError(f'tie: {shown(text)} matches no layer')
        units = merged
    for unit in units:
        odd = [m for m in unit.members if m.channels % unit.base]
        if odd:
            raise InputError(
                f'tie: {odd[0].name} has {odd[0].channels} channels, which is '
                f'no multiple of the {unit.base} of {unit.driven[0]}')
    return units


def _united(groups: List[Group]) -> Group:
    """One group of several."""
    together = Group([m for group in groups for m in group.members],
                     [name for group in groups for name in group.consumers])
    multiples = [
        Fraction(group.multiple * together.base, group.base).numerator
        for group in groups
    ]
    return together._replace(multiple=lcm(*multiples))


def _options(units: List[Group],
             multipliers: Dict[str, Tuple[float, float]]) -> List[WidthOptions]:
    """The options of each unit."""
    options = []
    used: Counter = Counter()
    for unit in units:
        mine = None
        for pattern, value in multipliers.items():
            if _matches(unit, pattern):
                mine = check_multipliers(f'multipliers[{pattern!r}]', value)
                used[pattern] += 1
        options.append(WidthOptions(mine, unit.multiple))
    for pattern in multipliers:
        if not used[pattern]:
            raise InputError(
                f'multipliers: {shown(pattern)} matches no layer that can '
                'change its width')
    return options


def _convert(network: nn.Module, input_channels: int, units: List[Group],
             options: List[WidthOptions], space: Optional[Dict[str, Any]],
             subnet: Optional[Dict[str, Any]]) -> 'ConvertedBackbone':
    """Turns a network into a supernet, in place."""
    if not isinstance(network, BaseModule):
        network.init_cfg = None  # type: ignore[assignment]
        network._is_init = False  # type: ignore[assignment]
    plain = type(network)
    network.__class__ = type(f'Slimmable{plain.__name__}',
                             (ConvertedBackbone, plain), {})
    converted: Any = network
    make_slimmable(converted, REPLACED)
    _slice_inputs(converted)
    converted.input_channels = input_channels
    drives = []
    for i, unit in enumerate(units):
        # the first drive of a width says how many channels it has
        for member in sorted(unit.members, key=lambda m: m.channels):
            layer = _drivable(converted, member)
            if layer is not None:
                drives.append(Drive(layer, i, member.channels // unit.base))
    converted.finish(drives, space, subnet, options)
    if subnet is None:
        _check_narrow(converted, units)
    return converted


def _drivable(network: nn.Module, member: Member) -> Optional[Any]:
    """The layer or the module that a width has to drive for a member; ``None``
    if it follows its input."""
    owner, _, name = member.name.rpartition('.')
    if name in dict(
            network.get_submodule(owner).named_parameters(recurse=False)):
        module = network.get_submodule(owner)
        parameter = module._parameters[name]
        assert parameter is not None
        return slice_module(module, {name: channel_axis(parameter)},
                            member.channels)
    module = network.get_submodule(member.name)
    if hasattr(module, 'active_out_channels'):
        return module if member.is_driven else None
    if isinstance(module, (nn.LayerNorm, nn.PReLU)) or member.is_driven:
        return slice_module(module, _axes(module), member.channels)
    return None


def _axes(module: nn.Module) -> Dict[str, int]:
    """Of each parameter of a layer, the axis of its channels."""
    return {name: 0 for name, _ in module.named_parameters(recurse=False)}


def _slice_inputs(network: nn.Module) -> None:
    """Makes layers of classes of their own run with any number of channels."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) and \
                not hasattr(module, 'active_out_channels'):
            channels = module.out_channels if isinstance(
                module, nn.Conv2d) else module.out_features
            slice_module(module, _axes(module), channels)


def _check_narrow(network: Any, units: List[Group]) -> None:
    """Runs the smallest subnet; if that fails, finds out why."""
    space = network.search_space
    error = _error_of(network, space.smallest.widths)
    if error is None:
        return
    if _error_of(network, space.largest.widths) is not None:
        raise InputError(
            'search_space.resolutions: the backbone does not run at '
            f'{space.smallest.resolution} pixels ({error})')
    for i, unit in enumerate(units):
        widths = list(space.largest.widths)
        widths[i] = space.widths[i].choices[0]
        own = _error_of(network, tuple(widths))
        if own is not None:
            raise InputError(
                f'backbone: {_names(unit)}: the network does not run with '
                f'{widths[i]} instead of {space.largest.widths[i]} channels '
                f'({own}); exclude=[...] keeps them')
    raise InputError(f'backbone: the smallest subnet does not run ({error})')


def _error_of(network: Any, widths: Tuple[int, ...]) -> Optional[str]:
    """Why a subnet does not run at the smallest resolution; ``None`` if it
    does."""
    space = network.search_space
    try:
        with evaluating(network):
            run_blank(network, Subnet(space.smallest.resolution, widths))
    except (RuntimeError, ValueError, AssertionError) as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    finally:
        network.switch_to(space.largest)
    return None


class ConvertedBackbone(SlimmableBackbone):
    """What :func:`slimmable_backbone` adds to the class of a network."""

    def forward(self, *args: Any, **kwargs: Any) -> Tuple[Tensor, ...]:
        """As the network's own; a tuple in any case."""
        features = super().forward(*args, **kwargs)
        return (features, ) if isinstance(features, torch.Tensor) else features

    def blocks(self) -> List[Block]:
        """The parts that latency tables hold, see :func:`.find_blocks`."""
        return find_blocks(self)

    @property
    def network(self) -> Dict[str, Any]:
        """What a latency depends on besides the sizes of blocks."""
        return dict(super().network, structure=self._structure)

    @property
    def _structure(self) -> str:
        """Tells apart networks of one class: a digest of their layers."""
        layers = [(name, type(module).__name__, *[
            tuple(p.shape) for p in module._parameters.values() if p is not None
        ]) for name, module in self.named_modules()]
        return hashlib.sha256(repr(layers).encode()).hexdigest()[:16]
