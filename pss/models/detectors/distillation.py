"""Distillation between detectors of different widths and scales."""

from typing import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def feature_divergence(teacher: Sequence[Tensor],
                       student: Sequence[Tensor]) -> Tensor:
    """How much a detector's features differ from its teacher's, 0 to 2.

    One minus the Pearson correlation of each channel, averaged over channels
    and levels (Cao et al., "PKD: General Distillation Framework for Object
    Detectors via Pearson Correlation Coefficient", NeurIPS 2022). So patterns
    count, but not magnitudes, which differ between widths.

    The teacher's maps are resized to the student's. If a neck passes narrow
    features of the backbone on, the channels that both have are compared.

    Args:
        teacher, student: for each level, ``(N, C, H, W)``.
    """
    losses = []
    for theirs, mine in zip(teacher, student):
        channels = min(theirs.shape[1], mine.shape[1])
        theirs, mine = theirs[:, :channels].float(), mine[:, :channels].float()
        if theirs.shape[-2:] != mine.shape[-2:]:
            theirs = F.interpolate(
                theirs, mine.shape[-2:], mode='bilinear', align_corners=False)
        product = _standard(theirs) * _standard(mine)
        losses.append(1 - product.mean())
    return torch.stack(losses).mean()


def _standard(features: Tensor) -> Tensor:
    """Each channel with mean 0 and variance 1 over images and pixels."""
    var, mean = torch.var_mean(features, (0, 2, 3), correction=0, keepdim=True)
    return (features - mean) / (var + 1e-6).sqrt()
