"""Running many subnets on the same images without repeating what they share."""

from functools import partial
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

import torch
from torch import Tensor, nn

from ..structures import Subnet
from ..supernet import After, Before, blank, evaluating, hooked
from .switching import Statistics, SwitchableModel


class _Stage(NamedTuple):
    """A part of a backbone whose output may be shared.

    Attributes:
        module: the part.
        widths: those that its output depends on.
        norms: the names of the norms that it depends on.
        ends: whether what follows leaves the outputs up to here as they are.
    """
    module: nn.Module
    widths: Set[int]
    norms: Set[str]
    ends: bool


class SharedPrefixes:
    """Runs subnets one after the other, sharing the first layers of each with
    the one before.

    Subnets of one resolution whose first widths are equal compute the same
    until the first width that differs. They run in an order in which such
    subnets are neighbours, and a part of the backbone that would repeat its
    output returns it instead. Results are the same, bit by bit.

    Iterating yields the subnets in that order, to be switched to and run on
    images; each iteration is for other images::

        runs = SharedPrefixes(model, subnets)
        for images in batches:
            for subnet in runs:
                model.switch_to(subnet)
                model(images)

    Args:
        model: the supernet.
        subnets: what to run, each one once.
        statistics: of all of them, if they run with statistics of their own:
            parts are then shared if these are equal, too.
    """

    def __init__(self,
                 model: SwitchableModel,
                 subnets: Sequence[Subnet],
                 statistics: Optional[Dict[Subnet, Statistics]] = None) -> None:
        self._stages = _stages_of(model)
        widths = list(
            dict.fromkeys(
                w for stage in self._stages for w in sorted(stage.widths)))
        self._subnets = sorted(
            subnets,
            key=lambda s: (s.resolution, [s.widths[w] for w in widths]))
        self._depths = [
            self._depth(first, second, statistics)
            for first, second in zip(self._subnets, self._subnets[1:])
        ]
        self._outputs: List[Any] = []  # of the first stages
        self._reused = self._kept = 0  # stages

    def __iter__(self) -> Iterator[Subnet]:
        """Yields the subnets in the order to run them in."""
        forwards = {
            stage.module: stage.module.forward
            for stage in self._stages
        }
        try:
            for i, (module, forward) in enumerate(forwards.items()):
                module.forward = partial(self._run, i, forward)
            for reused, kept, subnet in zip([0, *self._depths],
                                            [*self._depths, 0], self._subnets):
                self._reused, self._kept = reused, kept
                del self._outputs[reused:]
                yield subnet
        finally:
            self._outputs = []
            for module in forwards:
                del module.forward  # the class's shows again

    def _run(self, number: int, forward: Callable[..., Any], *args: Any,
             **kwargs: Any) -> Any:
        """A stage's output, a shared one if there is one."""
        if number < self._reused:
            return self._outputs[number]
        output = forward(*args, **kwargs)
        if number < self._kept:
            self._outputs.append(output)
        return output

    def shared_norms(self) -> Iterator[Tuple[Subnet, Subnet, Set[str]]]:
        """Pairs of a subnet and the one that runs after it, in order, with the
        names of the norms that run for the first of the two only."""
        for first, second, depth in zip(self._subnets, self._subnets[1:],
                                        self._depths):
            if depth:
                yield first, second, self._stages[depth - 1].norms

    def _depth(self, first: Subnet, second: Subnet,
               statistics: Optional[Dict[Subnet, Statistics]]) -> int:
        """How many stages return the same for two subnets."""
        if first.resolution != second.resolution:
            return 0
        differing = {
            i
            for i, (a, b) in enumerate(zip(first.widths, second.widths))
            if a != b
        }
        depth = 0
        equal: Set[str] = set()  # norms, of the stages before
        for i, stage in enumerate(self._stages, 1):
            if stage.widths & differing or statistics is not None and \
                    not _are_equal(statistics[first], statistics[second],
                                   stage.norms - equal):
                break
            equal = stage.norms
            if stage.ends:
                depth = i
        return depth


def _are_equal(first: Statistics, second: Statistics, norms: Set[str]) -> bool:
    """Whether two subnets have the same statistics of some norms."""
    return all(
        torch.equal(a, b) for name in norms
        for a, b in zip(first[name], second[name]))


def _stages_of(model: SwitchableModel) -> List[_Stage]:
    """The parts of a model's backbone that may be shared, in the order in which
    they run; what is in between always runs."""
    drives = {id(d.layer): d.width for d in model.backbone.drives}
    norms = {id(norm): name for name, norm in model.norms.items()}
    widths: Set[int] = set()
    names: Set[str] = set()
    calls: List[Tuple[nn.Module, Any, Set[int], Set[str]]] = []
    # of all outputs so far, each time that a part has run
    versions: List[List[int]] = []

    def note_layer(layer: nn.Module, inputs: Any) -> None:
        if id(layer) in drives:
            widths.add(drives[id(layer)])
        if id(layer) in norms:
            names.add(norms[id(layer)])

    def versions_now() -> List[int]:
        return [
            y._version if isinstance(y, Tensor) else 0 for _, y, *_ in calls
        ]

    def note_part(part: nn.Module, inputs: Any, output: Any) -> None:
        calls.append((part, output, set(widths), set(names)))
        versions.append(versions_now())

    layers: List[Before] = [(module, note_layer)
                            for module in model.backbone.modules()]
    parts: List[After] = [(part, note_part) for part in _parts(model.backbone)]
    largest = model.search_space.largest
    model.switch_to(largest)
    with evaluating(model), hooked(layers, parts):
        model.run_norms(blank(model, largest.resolution))
    last = versions_now()
    times = [sum(part is other for other, *_ in calls) for part, *_ in calls]
    return [
        _Stage(part, mine, needed, then == last[:len(then)])
        for (part, output, mine,
             needed), then, often in zip(calls, versions, times)
        if often == 1 and isinstance(output, Tensor)
    ]


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """The parts of a network; containers that only run theirs one after the
    other are divided into these."""
    for child in module.children():
        if type(child).forward in _DIVIDED:
            yield from _parts(child)
        else:
            yield child


_DIVIDED = (nn.Sequential.forward, nn.ModuleList.forward)
