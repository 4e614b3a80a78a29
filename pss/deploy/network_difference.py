"""Comparing an extracted network with its supernet by their outputs."""

import copy
from typing import Any, Callable

import torch
from torch import Tensor, nn

from ..models.detectors.scaling import scale_images


@torch.no_grad()
def largest_difference(one: Callable[[Tensor],
                                     Tensor], other: Callable[[Tensor], Tensor],
                       images: Tensor) -> float:
    """The largest absolute difference between the outputs of two networks.

    Args:
        one, other: the networks.
        images: ``(N, C, H, W)``; the networks run on all of them together, and
            on the first one alone.

    Returns:
        The difference; NaN if any difference is NaN.
    """
    # Python's max() skips a NaN that is not its first argument
    return torch.stack([(one(batch) - other(batch)).abs().max()
                        for batch in (images, images[:1])]).max().item()


@torch.no_grad()
def raw_outputs(model: nn.Module, images: Tensor) -> Tensor:
    """The outputs of a detector's first heads, before any box is chosen.

    Args:
        model: a detector of MMDetection, or one of our wrappers around it.
        images: preprocessed ones ``(N, C, H, W)``.

    Returns:
        All outputs of ``bbox_head`` and ``rpn_head``, in one row.
    """
    detector: Any = getattr(model, 'detector', model)
    features = detector.extract_feat(
        scale_images(images, getattr(model, 'scale', 1.)))
    outputs = [
        head(features) for head in (getattr(detector, 'bbox_head', None),
                                    getattr(detector, 'rpn_head', None))
        if head is not None
    ]
    return torch.cat([
        level.flatten() for found in outputs for levels in found
        for level in levels
    ])


def allowed_difference(network: Callable[[Tensor],
                                         Any], plain: Callable[[], nn.Module],
                       images: Tensor, tolerance: float, found: float) -> float:
    """How far outputs may differ from a network's.

    Args:
        network: the network, in float32.
        plain: makes it without slimmable layers. It is called only if more
            than the tolerance was found.
        images: ``(N, C, H, W)``.
        tolerance: what is allowed if no output is above 1; else in proportion.
        found: the difference that was found.

    Returns:
        That, or four times what float32 rounds in the network if this is more:
        with random weights, rounding may be magnified a thousandfold.
    """
    with torch.no_grad():
        largest = as_one(network(images)).abs().max().item()
        most = tolerance * max(1., largest)
        if found <= most:
            return most
        made = plain()
        rounded = as_one(made(images))
        exact = as_one(copy.deepcopy(made).double()(images.double()))
    return max(most, 4 * (rounded - exact).abs().max().item())


def as_one(outputs: Any) -> Tensor:
    """The outputs of a network as one tensor, rows of them for several."""
    if isinstance(outputs, (tuple, list)):
        return torch.cat([output.flatten(1) for output in outputs], 1)
    return outputs
