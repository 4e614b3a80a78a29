"""The classifier that is one network at many sizes."""

from typing import Any, Dict, List, Optional, Tuple, Union

import torch
from mmpretrain.models import ClsHead, ImageClassifier, MultiLabelClsHead
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import InputError
from ...registry import MODELS
from ...structures import SearchSpace, Subnet
from ...supernet import Block
from ..backbones.slimmable_backbone import layer_types
from ..layers import SlimmableLinear
from ..memory_format import memory_format_of
from ..switching import Statistics, slimmable_norms, switch
from ..widening import check_widths, make_slimmable
from .distillation import Divergence


def resize(images: Tensor, resolution: int) -> Tensor:
    """Images ``(N, C, H, W)`` resized to a subnet's resolution, bilinear with
    aligned corners; unchanged if they have it already."""
    size = (resolution, resolution)
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode='bilinear', align_corners=True)


@MODELS.register_module()
class SupernetClassifier(ImageClassifier):
    """mmpretrain's ``ImageClassifier`` over a slimmable backbone.

    At any moment it behaves as its active subnet. Images are resized to that
    subnet's resolution inside the model (bilinear, corners aligned), in
    training and in testing, unless they have it already.

    Args:
        channels_last: whether images and weights lie in memory channels last,
            which is faster for convolutions on CPUs and in half precision on
            GPUs; ``'auto'`` for CPUs only.
        distillation: what subnets learn from the largest one:
            :class:`.KLDivergence` by default, as in the paper, or
            :class:`.AlphaDivergence`.
        args, kwargs: as for ``ImageClassifier``; the backbone is a
            :class:`.SlimmableBackbone`. Necks and heads have to take the
            features of every subnet: their linear layers become slimmable.

    Raises:
        InputError: if neck or head cannot.

    Attributes:
        active_subnet: the subnet that the next forward pass runs;
            initially the largest.
        memory_format (torch.memory_format): how images lie in memory.
        norms (dict): the slimmable batch norms by module name.
    """

    def __init__(self,
                 *args,
                 channels_last: Union[bool, str] = False,
                 distillation: Optional[Dict[str, Any]] = None,
                 **kwargs) -> None:
        memory_format = memory_format_of(channels_last)
        super().__init__(*args, **kwargs)
        self.divergence: Divergence = MODELS.build(
            dict(type='pss.KLDivergence') if distillation is
            None else distillation)
        for part in self._after_backbone:
            make_slimmable(part, (nn.Linear, ))
        self.memory_format = memory_format
        self.to(memory_format=self.memory_format)
        self.norms = slimmable_norms(self)
        self.switch_to(self.search_space.largest)
        self._check_head()

    def _check_head(self) -> None:
        """Refuses heads that training and subnets cannot work with."""
        kind = type(self.head).__name__
        if not isinstance(self.head, (ClsHead, MultiLabelClsHead)) or \
                type(self.head).loss not in (ClsHead.loss,
                                             MultiLabelClsHead.loss):
            raise InputError(
                f'head: {kind} computes its loss from more than its scores, so '
                'there is no teacher for the other subnets; expected heads '
                "that keep the loss of mmpretrain's ClsHead or "
                'MultiLabelClsHead')
        neck = type(self.neck).__name__ if self.with_neck else 'no neck'
        check_widths(self, self, f'{neck} and {kind}')

    @property
    def _after_backbone(self) -> List[nn.Module]:
        return [part for part in (self.neck, self.head) if part is not None]

    @property
    def search_space(self) -> SearchSpace:
        """The space that :meth:`switch_to` chooses from."""
        return self.backbone.search_space

    @property
    def input_channels(self) -> int:
        """Channels of the images, after preprocessing."""
        return self.backbone.input_channels

    @property
    def costed(self) -> 'SupernetClassifier':
        """The classifier itself, since its subnets' costs are counted on it."""
        return self

    def image_size(self, resolution: int) -> Tuple[int, int]:
        """Height and width of images at a resolution: squares."""
        return resolution, resolution

    def blocks(self) -> List[Block]:
        """The parts that latency tables hold: the backbone's, and the linear
        layers after it."""
        return [*self.backbone.blocks(), *self._linear_blocks()]

    def _linear_blocks(self) -> List[Block]:
        return [
            Block('Linear', module) for part in self._after_backbone
            for module in part.modules() if isinstance(module, SlimmableLinear)
        ]

    @property
    def network(self) -> Dict[str, Any]:
        """What a latency depends on besides the sizes of blocks."""
        network = self.backbone.network
        layers = {*network['layers'], *layer_types(self._linear_blocks())}
        return dict(network, layers=sorted(layers))

    def switch_to(self,
                  subnet: Subnet,
                  statistics: Optional[Statistics] = None) -> None:
        """Makes the next forward passes run ``subnet``.

        Args:
            subnet: a subnet of ``search_space``.
            statistics: its batch-norm statistics, see :func:`.switch`.

        Raises:
            InputError: if the subnet is not in the space.
        """
        switch(self, subnet, statistics)

    def extract_feat(self, inputs: Tensor, stage: str = 'neck') -> Any:
        """As in ``ImageClassifier``, at the active subnet's resolution."""
        inputs = resize(inputs, self.active_subnet.resolution)
        inputs = inputs.contiguous(memory_format=self.memory_format)
        return super().extract_feat(inputs, stage)

    def run_norms(self, inputs: Tensor) -> None:
        """Runs all layers that have statistics on images ``(N, C, H, W)``, to
        calibrate them."""
        self.extract_feat(inputs)

    def forward(self,
                inputs: Tensor,
                data_samples: Optional[List] = None,
                mode: str = 'tensor',
                teacher: Optional[Tensor] = None) -> Any:
        """As in ``ImageClassifier``, with one more mode.

        Args:
            inputs: images ``(N, C, H, W)``.
            data_samples: annotations; ``pass`` and ``loss`` need them.
            mode: ``tensor`` (logits), ``predict``, ``loss``, or ``pass``: one
                pass of a training iteration, see :meth:`training_pass`.
            teacher: for ``pass``.
        """
        if mode == 'pass':
            return self.training_pass(inputs, data_samples, teacher)
        return super().forward(inputs, data_samples, mode)

    def training_pass(
            self, inputs: Tensor, data_samples: Optional[List],
            teacher: Optional[Tensor]) -> Tuple[Dict[str, Tensor], Tensor]:
        """The loss of the active subnet in a training iteration (Sec. III-C).

        Args:
            inputs: images ``(N, C, H, W)``.
            data_samples: annotations.
            teacher: the largest subnet's logits ``(N, classes)``, or ``None``
                in the pass that computes them.

        Returns:
            Losses, and the logits, detached. Without a teacher the losses are
            the head's. With a teacher there are ``loss``, the divergence from
            it (see :class:`.Divergence`), and ``task``, the sum of what the
            head's losses would be, detached: the subnet's score is minus that.
            So scores include label smoothing and the labels that Mixup blends,
            as the loss does.
        """
        logits = self.head(self.extract_feat(inputs))
        if teacher is None:
            return self.head._get_loss(logits, data_samples), logits.detach()
        with torch.no_grad():
            task, _ = self.parse_losses(
                self.head._get_loss(logits, data_samples))
        loss = self.divergence(teacher, logits,
                               isinstance(self.head, MultiLabelClsHead))
        return dict(loss=loss, task=task), logits.detach()

    def train_step(self, data: Any, optim_wrapper) -> Dict[str, Tensor]:
        """One training iteration; the optimizer wrapper runs its passes.

        Args:
            data: a batch from the dataloader.
            optim_wrapper (SandwichOptimWrapper): holds the iteration's plan.

        Returns:
            What to log, by name.
        """
        return optim_wrapper.train_step(self, data)
