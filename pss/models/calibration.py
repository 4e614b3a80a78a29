"""Batch-norm statistics for subnets that share weights."""

from typing import Dict, Iterable, Sequence

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from ..resources.layers import blank
from ..structures import Subnet
from .classifiers.supernet_classifier import Statistics, SupernetClassifier


@torch.no_grad()
def calibrate(model: SupernetClassifier, subnets: Sequence[Subnet],
              batches: Iterable[Tensor]) -> Dict[Subnet, Statistics]:
    """The statistics of every batch norm, for every subnet.

    Means and unbiased variances of the batches, averaged over the batches with
    equal weight, and over the processes ("After training" in the paper). Each
    batch is loaded once; all subnets run on it before the next.

    Args:
        model: the supernet. The subnet and the mode (training or evaluation)
            that it had are restored; its running statistics are not touched.
        subnets: what to calibrate.
        batches: preprocessed training images, each ``(N, C, H, W)``.

    Returns:
        For each subnet, what :meth:`.SupernetClassifier.switch_to` takes.
    """
    active, training = model.active_subnet, model.training
    momenta = {norm: norm.momentum for norm in model.norms.values()}
    model.eval()
    try:
        statistics = {subnet: _blank(model, subnet) for subnet in subnets}
        for norm in momenta:
            norm.train()  # and nothing else: no dropout here
        for i, batch in enumerate(batches):
            for norm in momenta:
                norm.momentum = 1 / (i + 1)  # makes it a cumulative average
            for subnet in subnets:
                model.switch_to(subnet, statistics[subnet])
                model.extract_feat(batch)
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


def _blank(model: SupernetClassifier, subnet: Subnet) -> Statistics:
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
    model.extract_feat(blank(model, subnet.resolution))
    for hook in hooks:
        hook.remove()
    return statistics
