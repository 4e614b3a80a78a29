"""Outputs of a detector's heads, to compare two networks by."""

import torch
from torch import Tensor, nn

from ..models.detectors.scaling import scale_images


@torch.no_grad()
def raw_outputs(model: nn.Module, images: Tensor) -> Tensor:
    """What a detector's first heads put out, in one row.

    Args:
        model: a detector of mmdet's, or one of the classes around them.
        images: preprocessed ones ``(N, C, H, W)``.
    """
    detector = getattr(model, 'detector', model)
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
