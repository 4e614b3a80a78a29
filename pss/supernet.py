"""What a supernet offers, and how to run one of its subnets."""

from contextlib import ExitStack, contextmanager
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Tuple,
)

import torch
from torch import Tensor, nn

from .structures import SearchSpace, Subnet


class Block(NamedTuple):
    """A part of a network that is measured as a whole.

    Attributes:
        block_type: such as ``MBV2Block``.
        module: the part; an ``nn.Sequential`` may be made of parts that run
            one after the other.
        inner: the layer whose output has the block's inner channels.
        kernel_size: of a convolution.
        stride: of the whole; ``None`` for a linear layer.
        shortcut: ``identity``, or ``conv`` if there is a convolution in it.
    """
    block_type: str
    module: nn.Module
    inner: Optional[nn.Module] = None
    kernel_size: Optional[int] = None
    stride: Optional[int] = None
    shortcut: Optional[str] = None

    @property
    def ends(self) -> Tuple[nn.Module, nn.Module]:
        """The modules that take the block's input and return its output."""
        if type(self.module) is nn.Sequential:
            return self.module[0], self.module[-1]
        return self.module, self.module


class Network(Protocol):
    """The members of ``nn.Module`` that counting and running rely on."""

    training: bool

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the network."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All parameters."""

    def buffers(self) -> Iterator[Tensor]:
        """All buffers."""

    def modules(self) -> Iterator[nn.Module]:
        """The network and all its parts."""

    def named_modules(self) -> Iterator[Tuple[str, nn.Module]]:
        """The same, with their names."""

    def get_submodule(self, target: str) -> nn.Module:
        """A part, by its name."""

    def train(self, mode: bool = True) -> Any:
        """Sets training or evaluation mode."""

    def eval(self) -> Any:
        """Sets evaluation mode."""

    def to(self, device: str) -> Any:
        """Moves parameters and buffers, in place."""


class Supernet(Network, Protocol):
    """A network whose subnets share weights.

    Slimmable backbones, the classifiers and detectors around them, and
    :class:`.BackboneAtSize` are supernets. Counting, measuring and sampling
    subnets rely on these members and no others.
    """

    @property
    def search_space(self) -> SearchSpace:
        """The space of its subnets."""

    @property
    def active_subnet(self) -> Subnet:
        """The subnet that the next forward pass runs."""

    @property
    def input_channels(self) -> int:
        """Channels of the images, after preprocessing."""

    @property
    def costed(self) -> 'Supernet':
        """The supernet that subnets' costs are counted on. Of a detector it
        is the backbone at the size of the detector's images, otherwise the
        supernet itself."""

    @property
    def network(self) -> Dict[str, Any]:
        """What a latency depends on besides the sizes of blocks.

        That is the backbone's ``type``, the types of ``layers``, options.

        Raises:
            InputError: for detectors, which latency tables do not cover.
        """

    def switch_to(self, subnet: Subnet) -> None:
        """Makes the next forward passes run ``subnet``."""

    def image_size(self, resolution: int) -> Tuple[int, int]:
        """Height and width of blank images for a subnet of a resolution."""

    def blocks(self) -> List[Block]:
        """The parts that latency tables hold, in order.

        Raises:
            InputError: for detectors, which latency tables do not cover.
        """


@contextmanager
def evaluating(model: Network) -> Iterator[None]:
    """Evaluation mode without gradients; every module's mode is restored."""
    training = [m for m in model.modules() if m.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def restoring(model: Supernet) -> Iterator[None]:
    """:func:`evaluating`; the active subnet is restored too."""
    active = model.active_subnet
    try:
        with evaluating(model):
            yield
    finally:
        model.switch_to(active)


def run_blank(model: Supernet, subnet: Subnet) -> None:
    """Runs a subnet on one blank image, at its resolution."""
    model.switch_to(subnet)
    model(blank(model, subnet.resolution))


def blank(model: Supernet, resolution: int) -> Tensor:
    """A blank image for a supernet, ``(1, C, H, W)``."""
    weight = next(model.parameters())
    return weight.new_zeros(
        (1, model.input_channels, *model.image_size(resolution)))


# A module, and a function of it and its inputs: torch's forward pre-hook.
Before = Tuple[nn.Module, Callable[[Any, Any], Any]]
# A module, and a function of it, its inputs and its output: a forward hook.
After = Tuple[nn.Module, Callable[[Any, Any, Any], Any]]


@contextmanager
def hooked(before: Iterable[Before] = (),
           after: Iterable[After] = ()) -> Iterator[None]:
    """Calls functions before and after modules run, inside the block only.

    Args:
        before: pairs of a module and a function of it and its inputs (a
            tuple); what this returns, unless ``None``, replaces the inputs.
        after: pairs of a module and a function of it, its inputs and its
            output; what this returns, unless ``None``, replaces the output.
    """
    with ExitStack() as stack:
        for module, function in before:
            stack.enter_context(module.register_forward_pre_hook(function))
        for module, note in after:
            stack.enter_context(module.register_forward_hook(note))
        yield
