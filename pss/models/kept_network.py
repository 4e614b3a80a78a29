"""Plain networks of several subnets over one set of weights."""

import copy
from typing import Any, Dict, Optional, Tuple

import torch
from torch import Tensor, nn

from ..structures import Subnet
from ..supernet import blank
from .classifiers.supernet_classifier import SupernetClassifier, resize
from .narrowing import narrow
from .switching import Statistics


class SharedWeights:
    """Cuts narrow layers' parameters out of shared ones without copying them
    for every network.

    The first output channels of a weight are a contiguous view of it. The
    first input channels are not, and a convolution copies such a weight in
    every forward pass. So each weight is copied once for every number of input
    channels that occurs, and all networks with that number view the copy.

    Args:
        limit: most bytes of all copies together. Beyond it, weights stay views
            that are not contiguous: correct, but slower.

    Attributes:
        copied_bytes (int): what the copies take.
    """

    def __init__(self, limit: float = float('inf')) -> None:
        self.limit = limit
        self.copied_bytes = 0
        # by id(), which is not reused: the weight is kept beside its copy
        self._copies: Dict[Tuple[int, ...], Tuple[Tensor, Tensor]] = {}

    def cut(self, value: Tensor, *sizes: int) -> nn.Parameter:
        """The first entries of a parameter along its first axes."""
        part = value.detach()
        if sizes[1:] != part.shape[1:len(sizes)]:
            part = self._narrow_input(value, sizes[1:])
        return nn.Parameter(part[:sizes[0]], requires_grad=False)

    def _narrow_input(self, value: Tensor, sizes: Tuple[int, ...]) -> Tensor:
        key = id(value), *sizes
        if key not in self._copies:
            places = (slice(None), *map(slice, sizes))
            part = value.detach()[places]
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
    weights shared with other subnets, its own statistics.

    Nothing in it changes, so any number of threads may run it.

    Args:
        backbone: takes images.
        neck: takes the backbone's features; may be ``None``.
        head: returns logits.
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
        """The head's input, from preprocessed images ``(N, C, H, W)``."""
        images = resize(images, self.resolution)
        features = self.backbone(
            images.contiguous(memory_format=self.memory_format))
        return features if self.neck is None else self.neck(features)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N, classes)`` for preprocessed images ``(N, C, H, W)``."""
        return self.head(self.features(images))


def kept_network(model: SupernetClassifier, subnet: Subnet,
                 statistics: Statistics, weights: SharedWeights) -> KeptNetwork:
    """The network of a subnet, over the weights of its supernet.

    Args:
        model: the supernet, in evaluation mode; its largest subnet is active
            afterwards.
        subnet: what to keep.
        statistics: its batch-norm statistics, see :func:`.calibrate`.
        weights: shared by the networks of the model.
    """
    model.switch_to(subnet, statistics)
    # copies the modules, but not the parameters
    memo = {id(p): p for p in model.parameters()}
    backbone, neck, head = copy.deepcopy(
        (model.backbone, model.neck if model.with_neck else None, model.head),
        memo)
    model.switch_to(model.search_space.largest)
    # channels do not depend on the resolution: the smallest is the quickest
    low = model.search_space.smallest.resolution
    network = KeptNetwork(backbone, neck, head, low, model.memory_format,
                          model.input_channels).eval()
    narrow(network, blank(model, low), weights.cut)
    network.resolution = subnet.resolution
    backbone.drives = []
    return network.requires_grad_(False)
