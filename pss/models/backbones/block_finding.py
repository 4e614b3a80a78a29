"""The blocks of a network that latency tables hold, found by running it.

A module that does nothing but run its parts one after the other is divided into
these, until what is left has one convolution or does more, such as adding a
shortcut. Modules without a convolution belong to the one before them.
"""

import re
from functools import partial
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from ...errors import InputError
from ...structures import Subnet
from ...supernet import After, Before, Block, blank, evaluating, hooked
from .slimmable_backbone import SlimmableBackbone


class _Call(NamedTuple):
    """One run of a module.

    Attributes:
        module: what ran.
        name: its name in the network.
        x: its first input, as it was then.
        y: its output, once there is one.
        parts: what it ran, in order.
    """
    module: nn.Module
    name: str
    x: '_Value'
    y: List['_Value']
    parts: List['_Call']


class _Value:
    """A tensor as it is now: later it may be changed in place."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._version = getattr(value, '_version', None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and self._value is other._value and \
            self._version == other._version


class _Piece(NamedTuple):
    """Modules that run one after the other, with a name for messages."""
    modules: List[nn.Module]
    name: str

    @property
    def module(self) -> nn.Module:
        """All of them."""
        return self.modules[0] if len(self.modules) == 1 else \
            nn.Sequential(*self.modules)


class _Ends(NamedTuple):
    """Shapes of what goes into a piece and comes out."""
    x: torch.Size
    y: torch.Size


def find_blocks(network: SlimmableBackbone) -> List[Block]:
    """The blocks of a supernet, in the order in which they run.

    Args:
        network: its active subnet is restored.

    Raises:
        InputError: if a block has several inner widths, or does not take and
            return images.
    """
    active = network.active_subnet
    space = network.search_space
    try:
        network.switch_to(space.largest)
        pieces = _pieces(_trace(network))
        ends = _ends_of(network, pieces, space.largest.widths)
        changed: Dict[int, List[_Ends]] = {}
        for width in sorted({drive.width for drive in network.drives}):
            widths = list(space.largest.widths)
            widths[width] = space.widths[width].choices[0]
            changed[width] = _ends_of(network, pieces, tuple(widths))
    finally:
        network.switch_to(active)
    roles = [{
        width: _role(ends[i], found[i])
        for width, found in changed.items()
    } for i in range(len(pieces))]
    drives = {id(d.layer): (d.width, d.factor) for d in network.drives}
    names: Dict[Any, str] = {}
    kinds: Dict[str, int] = {}
    blocks = []
    for piece, shape, role in zip(pieces, ends, roles):
        if len(shape.x) != 4 or len(shape.y) != 4:
            raise InputError(
                f'{piece.name}: takes {tuple(shape.x)} and returns '
                f'{tuple(shape.y)}; latency tables expect images')
        inner = _inner(piece, drives, role)
        signature = _signature(piece, drives, role)
        kind = re.sub('^(Slimmable|Sliced)', '',
                      type(piece.modules[0]).__name__)
        if signature not in names:
            kinds[kind] = kinds.get(kind, 0) + 1
            names[signature] = kind if kinds[kind] == 1 else \
                f'{kind}-{kinds[kind]}'
        blocks.append(
            Block(
                names[signature],
                piece.module,
                inner=inner,
                stride=round(shape.x[2] / shape.y[2])))
    return blocks


def _trace(network: SlimmableBackbone) -> _Call:
    """Runs a network on a blank image, and notes what runs what."""
    root = _Call(network, type(network).__name__, _Value(None), [], [])
    running = [root]

    def begin(name: str, module: nn.Module, inputs: Tuple[Any, ...]) -> None:
        x = _Value(inputs[0] if inputs else None)
        call = _Call(module, name, x, [], [])
        running[-1].parts.append(call)
        running.append(call)

    def end(module: nn.Module, inputs: Tuple[Any, ...], output: Any) -> None:
        running.pop().y.append(_Value(output))

    before: List[Before] = []
    after: List[After] = []
    for name, module in network.named_modules():
        if module is not network:
            before.append((module, partial(begin, name)))
            after.append((module, end))
    with evaluating(network), hooked(before, after):
        network(blank(network, network.search_space.smallest.resolution))
    return root


def _layers(call: _Call) -> int:
    """Convolutions and linear layers that a module runs."""
    if isinstance(call.module, (nn.Conv2d, nn.Linear)):
        return 1
    return sum(map(_layers, call.parts))


def _pieces(root: _Call) -> List[_Piece]:
    """Divides a network. What it does itself, between its parts, is left out.
    """
    found: List[_Piece] = []
    early: List[nn.Module] = []
    for call in _divided(root, True):
        if _layers(call):
            found.append(_Piece([*early, call.module], call.name))
            early = []
        elif found:
            found[-1].modules.append(call.module)
        else:
            early.append(call.module)
    return found


def _divided(call: _Call, is_root: bool = False) -> List[_Call]:
    if not is_root and (_layers(call) < 2 or not _is_chain(call)):
        return [call]
    return [piece for part in call.parts for piece in _divided(part)]


def _is_chain(call: _Call) -> bool:
    """Whether a module only runs its parts one after the other."""
    x = call.x
    for part in call.parts:
        if part.x != x:
            return False
        x = part.y[0]
    return bool(call.parts) and x == call.y[0]


def _ends_of(network: SlimmableBackbone, pieces: List[_Piece],
             widths: Tuple[int, ...]) -> List[_Ends]:
    """Shapes of what goes into pieces and comes out, in a subnet."""
    shapes: List[Dict[str, torch.Size]] = [{} for _ in pieces]

    def note_x(found: Dict[str, torch.Size], module: nn.Module,
               inputs: Tuple[Tensor]) -> None:
        found['x'] = inputs[0].shape

    def note_y(found: Dict[str, torch.Size], module: nn.Module,
               inputs: Tuple[Tensor], output: Tensor) -> None:
        found['y'] = output.shape

    resolution = network.search_space.smallest.resolution
    network.switch_to(Subnet(resolution, widths))
    with evaluating(network), hooked(
        [(piece.modules[0], partial(note_x, found))
         for piece, found in zip(pieces, shapes)],
        [(piece.modules[-1], partial(note_y, found))
         for piece, found in zip(pieces, shapes)]):
        network(blank(network, resolution))
    return [_Ends(found['x'], found['y']) for found in shapes]


def _role(wide: _Ends, narrow: _Ends) -> str:
    """Which ends of a piece a width drives."""
    return ('in' if narrow.x != wide.x else '') + \
        ('out' if narrow.y != wide.y else '')


def _inner(piece: _Piece, drives: Dict[int, Tuple[int, int]],
           role: Dict[int, str]) -> Optional[nn.Module]:
    """The layer that has a piece's inner width."""
    found: Dict[int, nn.Module] = {}
    for module in piece.module.modules():
        width, _ = drives.get(id(module), (None, 0))
        if width is not None and not role[width]:
            found.setdefault(width, module)
    if len(found) > 1:
        raise InputError(
            f'{piece.name}: {len(found)} inner widths; latency tables expect '
            'at most one a block: tie them (tie=[...]), or keep all but one '
            '(exclude=[...])')
    return next(iter(found.values()), None)


def _signature(piece: _Piece, drives: Dict[int, Tuple[int, int]],
               role: Dict[int, str]) -> Tuple[Any, ...]:
    """What two blocks of equal sizes have in common: all but the channels that
    a latency table's keys say."""
    return tuple(
        _layer_signature(module, drives, role)
        for module in piece.module.modules())


def _layer_signature(module: nn.Module, drives: Dict[int, Tuple[int, int]],
                     role: Dict[int, str]) -> Tuple[Any, ...]:
    kind = type(module).__name__
    if not isinstance(module, (nn.Conv2d, nn.Linear)):
        return (kind, )
    form: Tuple[Any, ...] = ()
    grouped = False
    if isinstance(module, nn.Conv2d):
        form = (module.kernel_size, module.stride, module.padding,
                module.dilation)
        grouped = getattr(module, 'full_groups', module.groups) > 1
    if id(module) in drives:
        width, factor = drives[id(module)]
        return (kind, form, role[width], factor)
    if grouped:
        return (kind, form, 'groups')
    return (kind, form, module.weight.shape[0])
