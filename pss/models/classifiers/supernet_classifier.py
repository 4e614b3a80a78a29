"""The classifier that is one network at many sizes."""

from typing import Any, Dict, List, Optional, Tuple

import torch
from mmpretrain.models import ClsHead, ImageClassifier, MultiLabelClsHead
from torch import Tensor, nn
from torch.nn import functional as F

from ...checks import check_boolean
from ...errors import InputError
from ...registry import MODELS
from ...structures import SearchSpace, Subnet
from ...supernet import Block, blank, evaluating
from ..layers import SlimmableLinear
from ..switching import Statistics, slimmable_norms, switch


def resize(images: Tensor, resolution: int) -> Tensor:
    """Images ``(N, C, H, W)`` at a subnet's resolution, bilinear with aligned
    corners; as they are if they have it already."""
    size = (resolution, resolution)
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode='bilinear', align_corners=True)


def divergence(teacher: Tensor, logits: Tensor, multi_label: bool) -> Tensor:
    """Kullback-Leibler divergence of a subnet from its teacher.

    ``KL(softmax(teacher) || softmax(logits))``, summed over classes and
    averaged over the batch. With several labels an image every class is a
    distribution of its own, of two outcomes: then it is the sum of theirs.

    Args:
        teacher, logits: both ``(N, classes)``.
        multi_label: whether an image has several labels.
    """
    if multi_label:
        teacher = torch.stack([teacher, torch.zeros_like(teacher)], dim=-1)
        logits = torch.stack([logits, torch.zeros_like(logits)], dim=-1)
    exact = torch.promote_types(logits.dtype, torch.float32)
    total = F.kl_div(
        F.log_softmax(logits.to(exact), -1),
        F.softmax(teacher.to(exact), -1),
        reduction='sum')
    return total / len(logits)


def _check_features(layer: SlimmableLinear, args: Tuple[Tensor]) -> None:
    """Raises ValueError if a layer at full width gets too few features."""
    if args[0].shape[-1] != layer.in_features:
        raise ValueError(f'in_channels={layer.in_features} in the config, '
                         f'{args[0].shape[-1]} features at full width')


def _make_linears_slimmable(part: Optional[nn.Module]) -> None:
    """Exchanges plain linear layers for ones that take narrow features."""
    for module in part.modules() if part is not None else ():
        for name, child in module.named_children():
            if type(child) is nn.Linear:
                setattr(module, name, SlimmableLinear.from_linear(child))


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
            ``search_space`` and ``switch_to(subnet)``. Any neck and head will
            do that can take the features of every subnet: the linear layers
            in them become slimmable.

    Raises:
        InputError: for a neck or head that cannot.

    Attributes:
        active_subnet (Subnet): the subnet that the next forward pass runs; the
            largest at first.
        memory_format (torch.memory_format): how images lie in memory.
        norms (dict): the slimmable batch norms by module name.
    """

    def __init__(self, *args, channels_last: bool = False, **kwargs) -> None:
        check_boolean('channels_last', channels_last)
        super().__init__(*args, **kwargs)
        for part in (self.neck, self.head):
            _make_linears_slimmable(part)
        self.memory_format = torch.channels_last if channels_last \
            else torch.contiguous_format
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
        smallest = self.search_space.smallest
        hooks = [
            module.register_forward_pre_hook(_check_features)
            for module in self.modules() if isinstance(module, SlimmableLinear)
        ]
        try:
            # at full width first, where nothing may be cut off
            self.switch_to(smallest)
            for drive in self.backbone.drives:
                drive.conv.active_out_channels = drive.conv.out_channels
            self._dry_run()
            for hook in hooks:
                hook.remove()
            self.switch_to(smallest)
            self._dry_run()
        except (RuntimeError, ValueError) as error:
            neck = type(self.neck).__name__ if self.with_neck else 'no neck'
            raise InputError(f'neck and head: {neck} and {kind} cannot take '
                             "the backbone's features "
                             f'({str(error).splitlines()[0]})') from None
        finally:
            self.switch_to(self.search_space.largest)

    def _dry_run(self) -> None:
        """One blank image through the network as it is."""
        with evaluating(self):
            self(blank(self, self.active_subnet.resolution))

    @property
    def search_space(self) -> SearchSpace:
        """The space that :meth:`switch_to` chooses from."""
        return self.backbone.search_space

    @property
    def input_channels(self) -> int:
        """Channels of the images, after preprocessing."""
        return self.backbone.input_channels

    def blocks(self) -> List[Block]:
        """The parts that latency tables hold: the backbone's, and the linear
        layers that follow."""
        return [
            *self.backbone.blocks(),
            *(Block('Linear', module)
              for part in (self.neck, self.head) if part is not None
              for module in part.modules()
              if isinstance(module, SlimmableLinear))
        ]

    @property
    def network(self) -> Dict[str, Any]:
        """What a latency depends on besides the sizes of blocks."""
        backbone = self.backbone
        layers = {
            type(module).__name__
            for block in self.blocks()
            for module in block.module.modules() if not any(module.children())
        }
        options = {
            name: getattr(backbone, name)
            for name in ('style', 'deep_stem', 'avg_down')
            if hasattr(backbone, name)
        }
        return dict(
            type=type(backbone).__name__, layers=sorted(layers), **options)

    def switch_to(self,
                  subnet: Subnet,
                  statistics: Optional[Statistics] = None) -> None:
        """Makes the next forward passes run ``subnet``.

        Args:
            subnet: a subnet of :attr:`search_space`.
            statistics: its batch-norm statistics, see :func:`.switch`.

        Raises:
            InputError: for a subnet that is not in the space.
        """
        switch(self, subnet, statistics)

    def extract_feat(self, inputs: Tensor, stage: str = 'neck') -> Any:
        """As in ``ImageClassifier``, at the active subnet's resolution."""
        inputs = resize(inputs, self.active_subnet.resolution)
        inputs = inputs.contiguous(memory_format=self.memory_format)
        return super().extract_feat(inputs, stage)

    def run_norms(self, inputs: Tensor) -> None:
        """Runs the layers that have statistics, to calibrate them."""
        self.extract_feat(inputs)

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
            the head's. With one there is ``loss``, the divergence from the
            teacher (see :func:`divergence`), and ``task``, the sum of what the
            head's losses would be, detached: minus that is the subnet's score.
            So a score counts label smoothing, or labels that Mixup blends, as
            the loss itself does.
        """
        logits = self.head(self.extract_feat(inputs))
        if teacher is None:
            return self.head._get_loss(logits, data_samples), logits.detach()
        with torch.no_grad():
            task, _ = self.parse_losses(
                self.head._get_loss(logits, data_samples))
        loss = divergence(teacher, logits,
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
