"""Plain networks of several subnets over one set of weights."""

import copy
from typing import Any, Dict, Optional, Tuple

import torch
from torch import Tensor, nn

from ..structures import Subnet
from ..supernet import blank
from .classifiers.supernet_classifier import (
    Statistics,
    SupernetClassifier,
    resize,
)
from .narrowing import narrow


class SharedWeights:
    """Cuts narrow layers' parameters out of shared ones without copying them
    for every network.

    The first output channels of a weight are a contiguous view of it. The
    first input channels are not, and a convolution copies such a weight in
    every forward pass. So each weight is copied once for every number of input
    channels that occurs, and all networks with that number view the copy.

    Args:
        limit: most bytes of all copies together. What goes beyond it stays a
            view that is not contiguous: as right, but slower.

    Attributes:
        copied_bytes (int): what the copies take.
    """

    def __init__(self, limit: float = float('inf')) -> None:
        self.limit = limit
        self.copied_bytes = 0
        # by the weight's identity, which the weight itself keeps from reuse
        self._copies: Dict[Tuple[int, int], Tuple[Tensor, Tensor]] = {}

    def cut(self, value: Tensor, *sizes: int) -> nn.Parameter:
        """The first entries of a parameter along its first axes."""
        part = value.detach()
        if len(sizes) > 1 and sizes[1] != part.shape[1]:
            part = self._narrow_input(value, sizes[1])
        return nn.Parameter(part[:sizes[0]], requires_grad=False)

    def _narrow_input(self, value: Tensor, channels: int) -> Tensor:
        key = id(value), channels
        if key not in self._copies:
            part = value.detach()[:, :channels]
            size = part.numel() * part.element_size()
            if self.copied_bytes + size > self.limit:
                return part
            self.copied_bytes += size
            kept = torch.channels_last if value.dim() == 4 and \
                not value.is_contiguous() else torch.contiguous_format
            self._copies[key] = value, part.clone(memory_format=kept)
        return self._copies[key][1]


class KeptNetwork(nn.Module):
    """One subnet as a plain network that is ready to run: no slimmable layer,
    weights that it shares with other subnets, statistics of its own.

    Nothing in it changes any more, so any number of threads may run it.

    Args:
        backbone, neck, head: its parts; the neck may be ``None``.
        resolution: height and width in pixels that it works at.
        memory_format: how images lie in memory.
        input_channels: channels of the images.
    """

    def __init__(self, backbone: nn.Module, neck: Optional[nn.Module],
                 head: nn.Module, resolution: int,
                 memory_format: torch.memory_format,
                 input_channels: int) -> None:
        super().__init__()
        self.backbone, self.neck, self.head = backbone, neck, head
        self.resolution = resolution
        self.memory_format = memory_format
        self.input_channels = input_channels

    def features(self, images: Tensor) -> Any:
        """What the head takes, of preprocessed images ``(N, C, H, W)``."""
        images = resize(images, self.resolution)
        features = self.backbone(
            images.contiguous(memory_format=self.memory_format))
        return features if self.neck is None else self.neck(features)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N, classes)`` of preprocessed images ``(N, C, H, W)``."""
        return self.head(self.features(images))


def kept_network(model: SupernetClassifier, subnet: Subnet,
                 statistics: Statistics, weights: SharedWeights) -> KeptNetwork:
    """The network of a subnet, over the weights of its supernet.

    Args:
        model: the supernet, in evaluation mode.
        subnet: what to keep.
        statistics: its batch-norm statistics, see :func:`.calibrate`.
        weights: what the networks of the model share.
    """
    model.switch_to(subnet, statistics)
    # the copy has modules of its own and the model's parameters
    memo = {id(p): p for p in model.parameters()}
    parts = copy.deepcopy(
        [model.backbone, model.neck if model.with_neck else None, model.head],
        memo)
    model.switch_to(model.search_space.largest)
    # channels do not depend on the resolution: the smallest tells them soonest
    low = model.search_space.smallest.resolution
    network = KeptNetwork(*parts, low, model.memory_format,
                          model.input_channels).eval()
    narrow(network, blank(network, low), weights.cut)
    network.resolution = subnet.resolution
    network.backbone.drives = []
    return network.requires_grad_(False)
