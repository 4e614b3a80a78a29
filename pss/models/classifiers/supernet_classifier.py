"""The classifier that is one network at many sizes."""

from typing import Any, Dict, List, Optional, Tuple

import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor
from torch.nn import functional as F

from ...registry import MODELS
from ...structures import SearchSpace, Subnet
from ..layers import SlimmableBatchNorm2d

# For each batch norm, by module name: mean and variance, each (C, ).
Statistics = Dict[str, Tuple[Tensor, Tensor]]


@MODELS.register_module()
class SupernetClassifier(ImageClassifier):
    """mmpretrain's ``ImageClassifier`` over a slimmable backbone.

    It behaves like one at every time: as the subnet that is active. Images are
    resized to that subnet's resolution inside the model (bilinear, corners
    aligned), in training and in testing, unless they have it already.

    Args:
        channels_last: whether images and weights lie in memory channels last,
            which convolutions on CPUs and in half precision on GPUs like.
        *args, **kwargs: as for ``ImageClassifier``; the backbone has a
            ``search_space`` and ``switch_to(subnet)``.

    Attributes:
        active_subnet (Subnet): the subnet that the next forward pass runs; the
            largest at first.
        norms (dict): the slimmable batch norms by module name.
    """

    def __init__(self, *args, channels_last: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._memory_format = torch.channels_last if channels_last \
            else torch.contiguous_format
        self.to(memory_format=self._memory_format)
        self.norms = {name: module for name, module in self.named_modules()
                      if isinstance(module, SlimmableBatchNorm2d)}
        self.switch_to(self.search_space.largest)

    @property
    def search_space(self) -> SearchSpace:
        """The space that :meth:`switch_to` chooses from."""
        return self.backbone.search_space

    @property
    def input_channels(self) -> int:
        """Channels of the images, after preprocessing."""
        return self.backbone.input_channels

    def switch_to(self,
                  subnet: Subnet,
                  statistics: Optional[Statistics] = None) -> None:
        """Makes the next forward passes run ``subnet``.

        Args:
            subnet: a subnet of :attr:`search_space`.
            statistics: its batch-norm statistics, see
                :func:`pss.models.calibrate`. Without them evaluation uses the
                running statistics, which are the largest subnet's: training
                updates them only while that is active.

        Raises:
            InputError: for a subnet that is not in the space.
        """
        self.backbone.switch_to(self.search_space.validate(subnet))
        tracks = statistics is not None or subnet == self.search_space.largest
        for name, norm in self.norms.items():
            norm.statistics = None if statistics is None else statistics[name]
            norm.track_running_stats = tracks
        self.active_subnet = subnet

    def extract_feat(self, inputs: Tensor, stage: str = 'neck') -> Any:
        """As in ``ImageClassifier``, at the active subnet's resolution."""
        size = (self.active_subnet.resolution, ) * 2
        if inputs.shape[-2:] != size:
            inputs = F.interpolate(
                inputs, size, mode='bilinear', align_corners=True)
        inputs = inputs.contiguous(memory_format=self._memory_format)
        return super().extract_feat(inputs, stage)

    def forward(self,
                inputs: Tensor,
                data_samples: Optional[List] = None,
                mode: str = 'tensor',
                teacher: Optional[Tensor] = None) -> Any:
        """As in ``ImageClassifier``, with one more mode.

        Args:
            inputs: images ``(N, C, H, W)``.
            data_samples: annotations.
            mode: ``tensor`` (logits), ``predict``, ``loss``, or ``pass``: one
                pass of a training iteration, see :meth:`training_pass`.
            teacher: for ``pass``.
        """
        if mode == 'pass':
            return self.training_pass(inputs, data_samples, teacher)
        return super().forward(inputs, data_samples, mode)

    def training_pass(
            self, inputs: Tensor, data_samples: List,
            teacher: Optional[Tensor]) -> Tuple[Dict[str, Tensor], Tensor]:
        """The loss of the active subnet in a training iteration (Sec. III-C).

        Args:
            inputs: images ``(N, C, H, W)``.
            data_samples: annotations.
            teacher: the largest subnet's logits ``(N, classes)``, or ``None``
                if this is the pass that gives them.

        Returns:
            Losses, and the logits, detached. Without a teacher the losses are
            the head's. With one there is ``loss``, the divergence
            ``KL(softmax(teacher) || softmax(logits))`` summed over classes and
            averaged over the batch, and ``task``, what the head's losses would
            be, detached: minus that is the subnet's score.
        """
        logits = self.head(self.extract_feat(inputs))
        if teacher is None:
            return self.head._get_loss(logits, data_samples), logits.detach()
        with torch.no_grad():
            task, _ = self.parse_losses(
                self.head._get_loss(logits, data_samples))
        divergence = F.kl_div(
            F.log_softmax(logits, 1), F.softmax(teacher, 1),
            reduction='batchmean')
        return dict(loss=divergence, task=task), logits.detach()

    def train_step(self, data: Any, optim_wrapper) -> Dict[str, Tensor]:
        """One training iteration; the optimizer wrapper runs its passes.

        Args:
            data: a batch from the dataloader.
            optim_wrapper (SandwichOptimWrapper): holds the iteration's plan.

        Returns:
            What to log, by name.
        """
        return optim_wrapper.train_step(self, data)
