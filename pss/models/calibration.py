"""Batch-norm statistics for subnets that share weights."""

from collections import Counter
from contextlib import contextmanager
from typing import Dict, Iterable, Iterator, Sequence

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn

from ..resources.layers import blank
from ..structures import Subnet
from .switching import Statistics


@torch.no_grad()
def calibrate(model: nn.Module, subnets: Sequence[Subnet],
              batches: Iterable[Tensor]) -> Dict[Subnet, Statistics]:
    """The statistics of every batch norm, for every subnet.

    Means and unbiased variances of the batches, averaged over the batches with
    equal weight, and over the processes ("After training" in the paper). Each
    batch is loaded once; all subnets run on it before the next.

    Args:
        model: the supernet, a classifier or a detector. The subnet and the
            mode (training or evaluation) that it had are restored; its running
            statistics are not touched.
        subnets: what to calibrate.
        batches: preprocessed training images, each ``(N, C, H, W)``.

    Returns:
        For each subnet, what the supernet's ``switch_to`` takes.
    """
    active, training = model.active_subnet, model.training
    momenta = {norm: norm.momentum for norm in model.norms.values()}
    model.eval()
    try:
        statistics = {subnet: _blank(model, subnet) for subnet in subnets}
        for norm in momenta:
            norm.train()  # and nothing else: no dropout here
        calls = {subnet: Counter() for subnet in subnets}
        for batch in batches:
            for subnet in subnets:
                model.switch_to(subnet, statistics[subnet])
                with _averaging(momenta, calls[subnet]):
                    model.run_norms(batch)
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        model.train(training)
        model.switch_to(active)
    for values in statistics.values():
        _average(values)
    return statistics


def _average(statistics: Statistics) -> None:
    """Makes them the mean over all processes, in one reduction."""
    parts = [part for pair in statistics.values() for part in pair]
    if not parts:
        return
    values = torch.cat(parts)
    all_reduce(values, 'mean')
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
