"""Comparing an extracted network with its supernet by their outputs."""

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
