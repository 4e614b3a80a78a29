"""What a supernet offers, and how to run one of its subnets."""

from contextlib import ExitStack, contextmanager
from typing import Iterator, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from .structures import Subnet


class Block(NamedTuple):
    """A part of a network that is measured as a whole.

    Attributes:
        block_type: such as ``MBV2Block``.
        module: the part; an ``nn.Sequential`` may be made of parts that run
            one after the other.
        inner: the layer whose output has the block's inner channels.
        kernel_size: of a convolution.
        stride: of the whole; none for a linear layer.
        shortcut: ``identity``, or ``conv`` where a convolution is in it.
    """
    block_type: str
    module: nn.Module
    inner: Optional[nn.Module] = None
    kernel_size: Optional[int] = None
    stride: Optional[int] = None
    shortcut: Optional[str] = None

    @property
    def ends(self) -> Tuple[nn.Module, nn.Module]:
        """The modules that take the block's input and give its output."""
        if type(self.module) is nn.Sequential:
            return self.module[0], self.module[-1]
        return self.module, self.module


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Sets a model to evaluation without gradients, and back."""
    training = [m for m in model.modules() if m.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def restoring(model: nn.Module) -> ExitStack:
    """Evaluation without gradients; the active subnet comes back after."""
    stack = ExitStack()
    stack.callback(model.switch_to, model.active_subnet)
    stack.enter_context(evaluating(model))
    return stack


def run_blank(model: nn.Module, subnet: Subnet) -> None:
    """One blank image through a subnet, at its resolution."""
    model.switch_to(subnet)
    model(blank(model, subnet.resolution))


def blank(model: nn.Module, resolution: int) -> Tensor:
    """A blank image for a network, ``(1, C, H, W)``."""
    weight = next(model.parameters())
    return weight.new_zeros(1, model.input_channels,
                            *image_size(model, resolution))


def image_size(model: nn.Module, resolution: int) -> Tuple[int, int]:
    """Height and width of a network's images at a resolution.

    They are square, unless the network has an ``image_size(resolution)`` of
    its own that says otherwise, as detectors' backbones have.
    """
    if hasattr(model, 'image_size'):
        return model.image_size(resolution)
    return resolution, resolution
