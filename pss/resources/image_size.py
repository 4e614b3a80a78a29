"""The images that a network runs on."""

from typing import Tuple

from torch import nn


def image_size(model: nn.Module, resolution: int) -> Tuple[int, int]:
    """Height and width of a network's images at a resolution.

    They are square, unless the network has an ``image_size(resolution)`` of
    its own that says otherwise, as detectors' backbones have.
    """
    if hasattr(model, 'image_size'):
        return model.image_size(resolution)
    return resolution, resolution
