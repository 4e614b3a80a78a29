"""Batch-norm statistics for subnets that share weights."""

from collections import Counter
from contextlib import nullcontext
from functools import partial
from typing import (
    Any,
    ContextManager,
    Dict,
    Iterable,
    Iterator,
    Optional,
    Sequence,
    Tuple,
)

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from ..errors import InputError
from ..structures import Subnet
from ..supernet import blank, hooked
from .layers import SlimmableBatchNorm2d
from .layers.synchronised_norm import is_shared
from .shared_prefixes import SharedPrefixes
from .switching import Statistics, SwitchableModel


@torch.no_grad()
def calibrate(model: SwitchableModel, subnets: Sequence[Subnet],
              batches: Iterable[Tensor]) -> Dict[Subnet, Statistics]:
    """The statistics of every batch norm, for every subnet.

    Means and unbiased variances of the batches, averaged with equal weight over
    the batches of all processes ("After training" in the paper). Each batch is
    loaded once; all subnets run on it before the next, and do not repeat what
    they share, see :class:`.SharedPrefixes`. All processes call it, each with
    as many batches as it has, even none.

    Args:
        model: the supernet, a classifier or a detector. Its active subnet and
            its mode (training or evaluation) are restored; its running
            statistics are not touched.
        subnets: what to calibrate.
        batches: preprocessed training images, each ``(N, C, H, W)``.

    Returns:
        Statistics of each subnet, for the supernet's ``switch_to``.

    Raises:
        InputError: if no process has a batch.
    """
    active, training = model.active_subnet, model.training
    momenta = {norm: norm.momentum for norm in model.norms.values()}
    model.eval()
    try:
        runs = SharedPrefixes(model, subnets)
        shared = _blank(model, runs)
        for norm in momenta:
            norm.train()  # and nothing else: no dropout here
        calls: Dict[Subnet, Counter] = {subnet: Counter() for subnet in subnets}
        synchronised = [norm for norm in momenta if norm.sync]
        rounds: Iterable[Optional[Tensor]] = _in_step(batches) \
            if is_shared() and synchronised else batches
        number = 0
        for batch in rounds:
            number += 1
            for subnet in runs:
                model.switch_to(subnet, shared[subnet])
                with _averaging(momenta, calls[subnet]), \
                        _emptied(synchronised) if batch is None \
                        else nullcontext():
                    model.run_norms(
                        blank(model, subnet.resolution) if batch is
                        None else batch)
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        model.train(training)
        model.switch_to(active)
    total = torch.tensor(float(number))
    all_reduce(total)
    if not total:
        raise InputError('calibration_dataloader: no batch in any process; '
                         'expected at least one')
    statistics = {subnet: _copied(shared[subnet]) for subnet in subnets}
    if get_world_size() > 1:
        for values in statistics.values():
            _average(values, number / total.item())
    return statistics


def _in_step(batches: Iterable[Tensor]) -> Iterator[Optional[Tensor]]:
    """Batches, then ``None`` until no process has any left: synchronised layers
    wait for all processes."""
    left = iter(batches)
    while True:
        batch = next(left, None)
        more = torch.tensor(float(batch is not None))
        all_reduce(more, 'max')
        if not more:
            return
        yield batch


def _emptied(norms: Iterable[nn.Module]) -> ContextManager[None]:
    """Makes synchronised norms see an empty batch, which contributes nothing,
    and the layers after them what they need to run."""
    shapes = {}

    def empty(norm: nn.Module, inputs: Tuple[Tensor]) -> Tensor:
        shapes[norm] = inputs[0].shape
        return inputs[0][:0]

    def fill(norm: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return output.new_zeros(shapes[norm])

    norms = list(norms)
    return hooked([(norm, empty) for norm in norms],
                  [(norm, fill) for norm in norms])


def _average(statistics: Statistics, share: float) -> None:
    """Averages statistics over all processes, in one reduction; this process
    had a ``share`` of all batches."""
    parts = [part for pair in statistics.values() for part in pair]
    if not parts:
        return
    values = torch.cat(parts) * share
    all_reduce(values)
    for part, mean in zip(parts, values.split([len(p) for p in parts])):
        part.copy_(mean)


def _averaging(norms: Iterable[SlimmableBatchNorm2d],
               calls: Counter) -> ContextManager[None]:
    """Makes running statistics the mean over all calls so far.

    A detector's head may call a norm several times a batch, once a level.
    """

    def count(norm: SlimmableBatchNorm2d, inputs: Any) -> None:
        calls[norm] += 1
        norm.momentum = 1 / calls[norm]

    return hooked(before=[(norm, count) for norm in norms])


def _blank(model: SwitchableModel,
           runs: SharedPrefixes) -> Dict[Subnet, Statistics]:
    """Statistics of the shapes that subnets' layers have; where subnets share
    a layer's output, they share its statistics."""
    found: Dict[Subnet, Statistics] = {}

    def note(name: str, norm: nn.Module, inputs: Tuple[Tensor]) -> None:
        x = inputs[0]
        channels = x.shape[1]
        exact = torch.promote_types(x.dtype, torch.float32)
        found[subnet][name] = (x.new_zeros(channels, dtype=exact),
                               x.new_ones(channels, dtype=exact))

    with hooked(before=[(norm, partial(note, name))
                        for name, norm in model.norms.items()]):
        for subnet in runs:
            found[subnet] = {}
            model.switch_to(subnet)
            model.run_norms(blank(model, subnet.resolution))
    for first, second, names in runs.shared_norms():
        found[second].update({name: found[first][name] for name in names})
    return {
        s: {
            name: values[name]
            for name in model.norms
        }
        for s, values in found.items()
    }


def _copied(statistics: Statistics) -> Statistics:
    """Statistics that no other subnet shares."""
    return {
        name: (mean.clone(), var.clone())
        for name, (mean, var) in statistics.items()
    }
