"""Which layers of a network have to change their width together.

Two convolutions whose outputs are added need equal numbers of channels, and a
depthwise one has as many as its input. Torch-Pruning's dependency graph follows
channels through the network as it runs, to everything that they reach; here
these are gathered into groups, and groups whose subnets would not be the first
channels of every layer are refused.
"""

import warnings
from contextlib import contextmanager
from fractions import Fraction
from math import lcm
from typing import (
    Any,
    Dict,
    Hashable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
)

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import InputError
from ...supernet import evaluating

# An end of a convolution or of a linear layer: its name, and ``in`` or ``out``.
End = Tuple[str, str]
# Modules whose parameters along channels are cut with their input.
FOLLOWING = (_BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.PReLU)


class Member(NamedTuple):
    """Something that changes its width with a group.

    Attributes:
        name: of the module; of a parameter that a module has besides its
            parts, the parameter's.
        channels: how many it has in the network as it is.
        is_driven: whether it decides how many channels come out, as
            convolutions do; others follow their input.
    """
    name: str
    channels: int
    is_driven: bool


class Group(NamedTuple):
    """What changes its width together.

    Attributes:
        members: in the network's order.
        consumers: layers whose input has these channels.
        multiple: of which the width has to be a multiple, because of layers
            with groups.
        block: channels that stay together if they are reordered, because of
            such layers.
        is_returned: whether the network returns these channels.
        reason: why it cannot change; ``None`` if it can.
    """
    members: List[Member]
    consumers: List[str]
    multiple: int = 1
    block: int = 1
    is_returned: bool = False
    reason: Optional[str] = None

    @property
    def driven(self) -> List[str]:
        """Layers that decide how many channels come out."""
        return [member.name for member in self.members if member.is_driven]

    @property
    def base(self) -> int:
        """The width in the network as it is, the channels of the narrowest
        of these layers. Others have multiples of it."""
        return min(m.channels for m in self.members if m.is_driven)


def channel_groups(network: nn.Module, image: Tensor) -> List[Group]:
    """Gathers everything that has channels into groups of equal width.

    Args:
        network: takes the image; it is unchanged afterwards.
        image: ``(1, C, H, W)``, of a size that the network is made for.

    Returns:
        The groups, in the order in which their first members are defined.

    Raises:
        InputError: if Torch-Pruning is missing, or cannot follow the network.
    """
    trace = _Trace(network, image)
    for name, layer in trace.layers.items():
        if not _is_depthwise(layer):
            trace.follow(name, 'out')
        if _is_grouped(layer) and trace.runs(name):
            trace.follow(name, 'in')
            trace.tie((name, 'in'), (name, 'out'))
    return trace.groups()


class _Sets:
    """Disjoint sets: union-find."""

    def __init__(self) -> None:
        self._parents: Dict[Hashable, Hashable] = {}

    def find(self, one: Hashable) -> Hashable:
        """The element that stands for a set; a new element is a new set."""
        parent = self._parents.setdefault(one, one)
        if parent != one:
            parent = self._parents[one] = self.find(parent)
        return parent

    def unite(self, one: Hashable, other: Hashable) -> None:
        """Makes the sets of two elements one."""
        self._parents[self.find(one)] = self.find(other)


class _Trace:
    """Follows the output of every layer of a network."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        self.layers: Dict[str, Any] = {
            name: module
            for name, module in network.named_modules()
            if isinstance(module, (nn.Conv2d, nn.Linear))
        }
        self._names = {module: name for name, module in self.layers.items()}
        self._modules = {m: name for name, m in network.named_modules()}
        self._parameters = {
            id(p): name
            for name, p in network.named_parameters()
        }
        self._network_modules = dict(network.named_modules())
        self._order = list(self._network_modules)
        self._graph = _dependency_graph(network, image)
        self._rearranged = self._find_rearranged()
        self._ends: Dict[End, None] = {}
        self._sets = _Sets()  # of ends that share a width
        # besides layers: the parameters' and modules' channels, by the end
        # whose channels reach them
        self._others: List[Tuple[End, str, int]] = []
        self._reasons: List[Tuple[End, str]] = []
        self._consumers: List[Tuple[End, str]] = []
        self._returned: List[End] = []

    def _find_rearranged(self) -> Dict[End, str]:
        """Ends of layers whose channels meet an operation that takes them
        apart or puts others before them, and the name of it.

        Following these channel by channel can take for ever.
        """
        kinds = self._graph.ops.OPTYPE
        names = {
            kinds.CONCAT: 'concatenated',
            kinds.SPLIT: 'split',
            kinds.SLICE: 'sliced',
            kinds.UNBIND: 'split'
        }
        sets = _Sets()
        found: Dict[Hashable, str] = {}
        nodes = list(self._graph.module2node.values())

        def place(node: Any, side: str) -> Hashable:
            """Where channels are: on a side of a layer, or in anything else."""
            module = node.module
            if module in self._names and not _is_depthwise(module):
                return self._names[module], side
            return id(node), ''

        for node in nodes:
            for after in node.outputs:
                sets.unite(place(node, 'out'), place(after, 'in'))
        for node in nodes:
            if node.type in names and node.enable_index_mapping:
                found[sets.find(place(node, ''))] = names[node.type]
        ends = [(name, side) for name in self.layers for side in ('in', 'out')]
        return {
            end: found[sets.find(end)]
            for end in ends if sets.find(end) in found
        }

    def runs(self, name: str) -> bool:
        """Whether what comes out of the network depends on a layer."""
        return self.layers[name] in self._graph.module2node

    def follow(self, name: str, side: str) -> None:
        """Notes what the channels of an end of a layer reach."""
        layer, end = self.layers[name], (name, side)
        if not self.runs(name):
            return
        self._ends[end] = None
        if end in self._rearranged:
            self._reasons.append(
                (end, f'its channels are {self._rearranged[end]}, so that the '
                 'first ones do not stay the first'))
            return
        if side == 'out' and not self._graph.module2node[layer].outputs:
            self._returned.append(end)
        pruner = self._graph.get_pruner_of_module(layer)
        function = pruner.prune_out_channels if side == 'out' else \
            pruner.prune_in_channels
        some = max(_channels(layer, side) // 2, 1)
        for item in self._graph.get_pruning_group(layer, function,
                                                  list(range(some))):
            self._reach(end, item.dep, sorted(item.idxs), some)

    def _reach(self, end: End, dependency: Any, indices: List[int],
               some: int) -> None:
        """Notes that the first channels of an end reach some of a module's."""
        target, module = dependency.target, dependency.target.module
        out = self._graph.is_out_channel_pruning_fn(dependency.handler)
        name = self._name(target)
        if indices != list(range(len(indices))) or len(indices) % some:
            self._reasons.append(
                (end, f'its first channels are not the first of {name}: they '
                 'are shuffled'))
        elif module in self._names:
            side = 'out' if out else 'in'
            if _is_depthwise(module):
                self.tie(end, (name, 'out'))
            elif side == 'out' or _is_grouped(module):
                self.tie(end, (name, side))
            else:
                self._consumers.append((end, name))
        elif isinstance(module, nn.Parameter):
            self._others.append((end, name, module.shape[channel_axis(module)]))
        elif isinstance(module, FOLLOWING) and all(
                p.dim() == 1 for p in module.parameters()):
            weight = next(module.parameters(), None)
            if weight is not None and weight.numel() > 1:
                self._others.append((end, name, weight.numel()))
        elif target.type == self._graph.ops.OPTYPE.OUTPUT:
            self._returned.append(end)
        elif any(True for _ in module.parameters()):
            self._reasons.append(
                (end, f'{name} is a {type(module).__name__}, which cannot '
                 'change its width'))

    def _name(self, target: Any) -> str:
        module = target.module
        if isinstance(module, nn.Parameter):
            return self._parameters[id(module)]
        return self._modules.get(module, str(target.name))

    def tie(self, one: End, other: End) -> None:
        """Puts two ends into one group."""
        self._ends.update({one: None, other: None})
        self._sets.unite(one, other)

    def groups(self) -> List[Group]:
        """The groups, once everything has been followed."""
        ends: Dict[Hashable, List[End]] = {}
        for end in self._ends:
            ends.setdefault(self._sets.find(end), []).append(end)
        found = [self._group(root, mine) for root, mine in ends.items()]
        # without a layer that decides it, it is the image's width
        return sorted((group for group in found if group.driven),
                      key=lambda group: self._place(group.members[0]))

    def _place(self, member: Member) -> int:
        owner = member.name
        while owner not in self._order:
            owner = owner.rpartition('.')[0]
        return self._order.index(owner)

    def _group(self, root: Hashable, ends: List[End]) -> Group:
        layers = [(name, side) for name, side in ends if side == 'out']
        members = [
            Member(
                name, _channels(self.layers[name], 'out'),
                self.layers[name].groups == 1 if isinstance(
                    self.layers[name], nn.Conv2d) else True)
            for name, _ in layers
        ]
        members += dict.fromkeys(
            Member(name, channels, False)
            for end, name, channels in self._others
            if channels and self._sets.find(end) == root)
        members.sort(key=self._place)
        reasons = [
            r for end, r in self._reasons if self._sets.find(end) == root
        ]
        consumers = [
            name for end, name in self._consumers
            if self._sets.find(end) == root
        ]
        group = Group(members, [*dict.fromkeys(consumers)])
        if not group.driven or reasons:
            return group._replace(reason=next(iter(reasons), None))
        # channels of a part of a layer, by the layer's channels: parts of
        # convolutions come and go, those of group norms become smaller
        parts = [
            Fraction(
                _channels(layer, side) // layer.groups, _channels(layer, side))
            for name, side in ends if _is_grouped(layer := self.layers[name])
        ]
        norms = [
            norm.num_groups for member in members if isinstance(
                norm := self._network_modules.get(member.name), nn.GroupNorm)
        ]
        blocks = [(part * group.base).numerator for part in parts]
        return group._replace(
            is_returned=root in map(self._sets.find, self._returned),
            multiple=lcm(*blocks, *norms),
            block=lcm(*blocks, *(group.base // num for num in norms)))


def channel_axis(parameter: Tensor) -> int:
    """The axis of the channels of a parameter that is in no layer: the last
    that is longer than 1."""
    return max((i for i, size in enumerate(parameter.shape) if size > 1),
               default=0)


@contextmanager
def _traceable(network: nn.Module) -> Iterator[None]:
    """Gradients everywhere, and no checkpoints: the graph follows them."""
    frozen = [p for p in network.parameters() if not p.requires_grad]
    saving: List[Any] = [
        m for m in network.modules() if getattr(m, 'with_cp', False)
    ]
    for parameter in frozen:
        parameter.requires_grad_(True)
    for module in saving:
        module.with_cp = False
    try:
        with evaluating(network), torch.enable_grad(), \
                warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        for module in saving:
            module.with_cp = True


class _Whole(nn.Module):
    """Runs a network. Torch-Pruning calls ``eval()``, which some of
    mmpretrain's backbones answer with ``None``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Any:
        return self.network(image)


def _dependency_graph(network: nn.Module, image: Tensor) -> Any:
    try:
        import torch_pruning
    except ImportError:
        raise InputError(
            'pss.SlimmableBackbone needs torch-pruning to find out which '
            'layers share a width: pip install torch-pruning') from None
    with _traceable(network):
        try:
            return torch_pruning.DependencyGraph().build_dependency(
                _Whole(network), image, verbose=False)
        except Exception as error:  # whatever the network or the tracing raises
            raise InputError(
                f'backbone: {type(network).__name__} cannot be followed with '
                f'an image of {tuple(image.shape[1:])}: '
                f'{type(error).__name__}: {error}; expected an input_size that '
                'it can take') from error


def _channels(layer: Any, side: str) -> int:
    if isinstance(layer, nn.Linear):
        return layer.out_features if side == 'out' else layer.in_features
    channels: int = layer.out_channels if side == 'out' else layer.in_channels
    return channels


def _is_grouped(layer: nn.Module) -> bool:
    """Whether it has groups, but not one for each channel."""
    return isinstance(layer, nn.Conv2d) and layer.groups > 1 and \
        not _is_depthwise(layer)


def _is_depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and \
        layer.groups == layer.in_channels == layer.out_channels > 1
