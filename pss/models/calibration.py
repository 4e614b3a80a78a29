"""Batch-norm statistics for subnets that share weights."""

from collections import Counter
from contextlib import contextmanager, nullcontext
from typing import Dict, Iterable, Iterator, Optional, Sequence

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from ..errors import InputError
from ..structures import Subnet
from ..supernet import blank
from .layers.synchronised_norm import is_shared
from .switching import Statistics


@torch.no_grad()
def calibrate(model: nn.Module, subnets: Sequence[Subnet],
              batches: Iterable[Tensor]) -> Dict[Subnet, Statistics]:
    """The statistics of every batch norm, for every subnet.

    Means and unbiased variances of the batches, averaged over the batches with
    equal weight, those of all processes ("After training" in the paper). Each
    batch is loaded once; all subnets run on it before the next. All processes
    call it, with as many batches each as they have: none at all, too.

    Args:
        model: the supernet, a classifier or a detector. The subnet and the
            mode (training or evaluation) that it had are restored; its running
            statistics are not touched.
        subnets: what to calibrate.
        batches: preprocessed training images, each ``(N, C, H, W)``.

    Returns:
        For each subnet, what the supernet's ``switch_to`` takes.

    Raises:
        InputError: if no process has a batch.
    """
    active, training = model.active_subnet, model.training
    momenta = {norm: norm.momentum for norm in model.norms.values()}
    model.eval()
    try:
        statistics = {subnet: _blank(model, subnet) for subnet in subnets}
        for norm in momenta:
            norm.train()  # and nothing else: no dropout here
        calls = {subnet: Counter() for subnet in subnets}
        synchronised = [norm for norm in momenta if _is_synchronised(norm)]
        if is_shared() and synchronised:
            batches = _in_step(batches)
        number = 0
        for batch in batches:
            number += 1
            for subnet in subnets:
                model.switch_to(subnet, statistics[subnet])
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
        raise InputError('calibration_dataloader: it has no batch, in any '
                         'process; expected at least one')
    if get_world_size() > 1:
        for values in statistics.values():
            _average(values, number / total.item())
    return statistics


def _is_synchronised(norm: nn.Module) -> bool:
    """Whether its batches are normalised with those of all processes."""
    return getattr(norm, 'sync', False) or isinstance(norm, nn.SyncBatchNorm)


def _in_step(batches: Iterable[Tensor]) -> Iterator[Optional[Tensor]]:
    """Batches until no process has any left, and ``None`` meanwhile:
    synchronised layers wait for all processes."""
    left = iter(batches)
    while True:
        batch = next(left, None)
        more = torch.tensor(float(batch is not None))
        all_reduce(more, 'max')
        if not more:
            return
        yield batch


@contextmanager
def _emptied(norms: Iterable[nn.Module]) -> Iterator[None]:
    """Lets synchronised norms see an empty batch, which contributes nothing,
    and the layers after them what they need to run."""
    shapes = {}

    def empty(norm, args):
        shapes[norm] = args[0].shape
        return args[0][:0]

    def fill(norm, args, output):
        return output.new_zeros(shapes[norm])

    hooks = [
        hook for norm in norms
        for hook in (norm.register_forward_pre_hook(empty),
                     norm.register_forward_hook(fill))
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _average(statistics: Statistics, share: float) -> None:
    """Makes them the mean over all processes, in one reduction; ``share`` of
    all batches were this process's."""
    parts = [part for pair in statistics.values() for part in pair]
    if not parts:
        return
    values = torch.cat(parts) * share
    all_reduce(values)
    for part, mean in zip(parts, values.split([len(p) for p in parts])):
        part.copy_(mean)


@contextmanager
def _averaging(norms: Iterable[nn.Module], calls: Counter) -> Iterator[None]:
    """Makes running statistics the mean over all calls so far.

    A detector's head may call a norm several times a batch, once a level.
    """

    def count(norm, args):
        calls[norm] += 1
        norm.momentum = 1 / calls[norm]

    hooks = [norm.register_forward_pre_hook(count) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _blank(model: nn.Module, subnet: Subnet) -> Statistics:
    """Statistics of the shapes that a subnet's layers have."""
    statistics: Statistics = {}

    def note(name, x):
        channels = x.shape[1]
        exact = torch.promote_types(x.dtype, torch.float32)
        statistics[name] = (x.new_zeros(channels, dtype=exact),
                            x.new_ones(channels, dtype=exact))

    hooks = [
        norm.register_forward_pre_hook(
            lambda norm, args, name=name: note(name, args[0]))
        for name, norm in model.norms.items()
    ]
    model.switch_to(subnet)
    model.run_norms(blank(model, subnet.resolution))
    for hook in hooks:
        hook.remove()
    return statistics
