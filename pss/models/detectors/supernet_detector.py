"""The detector that is one network at many sizes."""

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import InputError
from ...registry import MODELS
from ...structures import SearchSpace, Subnet
from ...supernet import blank, evaluating
from ..layers import SlimmableConv2d
from ..switching import Statistics, slimmable_norms, switch
from .backbone_at_size import BackboneAtSize
from .distillation import feature_divergence
from .mmdet_detector import (
    build_detector,
    detector_keys,
    hide_prefix,
    keep_predictions,
    make_slimmable,
)
from .scaling import Size, scale_images, scale_samples

# Channels do not depend on the size of images, so that they are found on
# small ones.
_SMALL = 256


@MODELS.register_module()
class SupernetDetector(BaseModel):
    """One of mmdet's detectors over a slimmable backbone.

    It behaves like that detector at every time: as the subnet that is active.
    A subnet sees images at ``its resolution / the largest`` of the size that
    pipelines deliver, resized inside the model; boxes go along.

    **What is distilled.** The largest subnet learns from the annotations. The
    others learn from them too, and besides their neck's outputs follow the
    largest one's (:func:`.feature_divergence`). Neck outputs are what all
    detectors have, one-stage or two-stage, with anchors or without, and all
    their subnets too: the same levels and channels. Scores of heads would not
    do: at another scale they belong to other places, and a second stage's to
    other proposals. Features alone would not do either: the heads would never
    see what narrow subnets make of an image. So the score of a subnet is minus
    its detection loss, without the distillation.

    Args:
        detector: its type in mmdet, such as ``mmdet.RetinaNet``.
        input_size: height and width of the images that pipelines deliver,
            or of most of them. Costs are counted at it; its shorter side is
            the largest of the space's resolutions.
        distillation: the weight of the distillation in the loss.
        channels_last: whether images and weights lie in memory channels last,
            which convolutions on CPUs and in half precision on GPUs like.
        init_cfg: how to initialise.
        **parts: the rest of the detector's config, as mmdet has it. The
            backbone has a ``search_space`` and ``switch_to(subnet)``. Any neck
            and heads will do whose first layers are convolutions, or that get
            features of a fixed width: their convolutions become slimmable, and
            their batch norms get statistics for each subnet.

    Raises:
        InputError: for a backbone that is none of ours or normalises with
            fixed statistics, and a neck or head that cannot take its features;
            it says how many channels they have.

    Attributes:
        active_subnet (Subnet): the subnet that the next forward pass runs; the
            largest at first.
        norms (dict): the slimmable batch norms by module name.
        memory_format (torch.memory_format): how images lie in memory.
    """

    def __init__(self,
                 detector: str,
                 input_size: Sequence[int],
                 distillation: float = 1.,
                 channels_last: bool = False,
                 init_cfg: Optional[dict] = None,
                 **parts: Any) -> None:
        built = build_detector(detector, parts)
        super().__init__(built.data_preprocessor, init_cfg)
        self.detector = built
        hide_prefix(self)
        if not distillation >= 0:
            raise InputError(f'distillation={distillation!r} must be a number '
                             'of at least 0')
        self.distillation = distillation
        self._check_backbone()
        self.input_size: Size = self._checked_size(input_size)
        for name in ('neck', 'bbox_head', 'rpn_head'):
            if getattr(built, name, None) is not None:
                make_slimmable(getattr(built, name))
        if getattr(built, 'roi_head', None) is not None:
            make_slimmable(built.roi_head, convs=False)
        self.memory_format = torch.channels_last if channels_last \
            else torch.contiguous_format
        self.to(memory_format=self.memory_format)
        self.norms = slimmable_norms(built)
        self.switch_to(self.search_space.largest)
        self._check_parts()

    @classmethod
    def config_keys(cls, cfg: Dict[str, Any]) -> Set[str]:
        """Keys that a config may have: its own, and the detector's."""
        return detector_keys(cls, cfg)

    def _check_backbone(self) -> None:
        backbone = self.backbone
        if not hasattr(backbone, 'search_space'):
            raise InputError(f'backbone: {type(backbone).__name__} has no '
                             'subnets; expected pss.SlimmableMobileNetV1, '
                             'pss.SlimmableMobileNetV2, pss.SlimmableResNet')
        if not backbone.drives:
            return
        for key, legal in (('norm_eval', False), ('frozen_stages', -1)):
            value = getattr(backbone, key, legal)
            norms = any(isinstance(m, _BatchNorm) for m in backbone.modules())
            if value != legal and norms:
                raise InputError(
                    f'backbone.{key}={value!r}: batch norms would normalise '
                    "every subnet with the largest one's statistics; expected "
                    f'{legal!r}')

    def _checked_size(self, size: Any) -> Size:
        largest = self.search_space.largest.resolution
        if not isinstance(size, (list, tuple)) or len(size) != 2 or not all(
                type(side) is int and side > 0 for side in size):
            raise InputError(f'input_size={size!r} must be the height and the '
                             'width of images in pixels')
        if min(size) != largest:
            raise InputError(
                f'input_size={tuple(size)}: its shorter side must be the '
                f"largest of the backbone's search_space.resolutions, "
                f'{largest}, at which images are as pipelines deliver them')
        return tuple(size)

    def _check_parts(self) -> None:
        """Refuses necks and heads that cannot take every subnet's features."""
        kinds = ' and '.join(
            type(getattr(self.detector, name)).__name__
            for name in ('neck', 'bbox_head', 'rpn_head')
            if getattr(self.detector, name, None) is not None)
        space = self.search_space
        channels = None
        try:
            # at full width first, where nothing may be cut off
            for drive in self.backbone.drives:
                drive.conv.active_out_channels = drive.conv.out_channels
            images = blank(self, space.largest.resolution)
            with evaluating(self):
                channels = [f.shape[1] for f in self.backbone(images)]
                with _whole_inputs(self.detector):
                    self.detector.extract_feat(images)
                    self._run_heads(self.detector.extract_feat(images))
                self.switch_to(space.smallest)
                self._run_heads(self.detector.extract_feat(images))
        except (RuntimeError, ValueError, AssertionError) as error:
            text = str(error).strip() or type(error).__name__
            raise InputError(
                f'neck and head: {kinds} cannot take the features of the '
                f'backbone, which have {channels} channels '
                f'({text.splitlines()[0]})') from None
        finally:
            self.switch_to(space.largest)

    @property
    def backbone(self) -> nn.Module:
        """The detector's."""
        return self.detector.backbone

    @property
    def search_space(self) -> SearchSpace:
        """The space that :meth:`switch_to` chooses from."""
        return self.backbone.search_space

    @property
    def input_channels(self) -> int:
        """Channels of the images, after preprocessing."""
        return self.backbone.input_channels

    @property
    def costed(self) -> BackboneAtSize:
        """What subnets' costs are counted of: the backbone at its size."""
        return BackboneAtSize(self.backbone, self.input_size)

    def image_size(self, resolution: int) -> Size:
        """Height and width of blank images, whatever the subnet."""
        return tuple(min(side, _SMALL) for side in self.input_size)

    @property
    def scale(self) -> float:
        """Of the active subnet's images."""
        return self.active_subnet.resolution / \
            self.search_space.largest.resolution

    def _scaled(self, images: Tensor) -> Tensor:
        """Images as the active subnet sees them."""
        return scale_images(
            images, self.scale).contiguous(memory_format=self.memory_format)

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

    def forward(self,
                inputs: Tensor,
                data_samples: Optional[List] = None,
                mode: str = 'tensor',
                teacher: Optional[List[Tensor]] = None) -> Any:
        """As in mmdet's detectors, with one more mode.

        Args:
            inputs: images ``(N, C, H, W)``.
            data_samples: annotations.
            mode: ``tensor``, ``predict``, ``loss``, or ``pass``: one pass of a
                training iteration, see :meth:`training_pass`.
            teacher: for ``pass``.
        """
        if mode == 'pass':
            return self.training_pass(inputs, data_samples, teacher)
        images = self._scaled(inputs)
        samples = scale_samples(data_samples, inputs.shape[-2:],
                                images.shape[-2:])
        results = self.detector(images, samples, mode)
        if mode == 'predict':
            return keep_predictions(results, data_samples)
        return results

    def training_pass(
            self, inputs: Tensor, data_samples: List,
            teacher: Optional[List[Tensor]]
    ) -> Tuple[Dict[str, Any], List[Tensor]]:
        """The loss of the active subnet in a training iteration.

        Args:
            inputs: images ``(N, C, H, W)``.
            data_samples: annotations.
            teacher: the largest subnet's features, or ``None`` if this is the
                pass that gives them.

        Returns:
            Losses, and the neck's outputs, detached. With a teacher there are
            besides ``loss_distillation``, and ``task``, the sum of the
            detector's own losses, detached: minus that is the subnet's score.
        """
        images = self._scaled(inputs)
        samples = scale_samples(data_samples, inputs.shape[-2:],
                                images.shape[-2:])
        with _outputs(self._featuring) as features:
            losses = self.detector(images, samples, 'loss')
        if teacher is not None:
            task, _ = self.parse_losses(losses)
            losses = dict(
                losses,
                task=task.detach(),
                loss_distillation=self.distillation *
                feature_divergence(teacher, features))
        return losses, [level.detach() for level in features]

    @property
    def _featuring(self) -> nn.Module:
        """What gives the features that heads take."""
        neck = getattr(self.detector, 'neck', None)
        return self.backbone if neck is None else neck

    def train_step(self, data: Any, optim_wrapper) -> Dict[str, Tensor]:
        """One training iteration; the optimizer wrapper runs its passes.

        Args:
            data: a batch from the dataloader.
            optim_wrapper (SandwichOptimWrapper): holds the iteration's plan.

        Returns:
            What to log, by name.
        """
        return optim_wrapper.train_step(self, data)

    def run_norms(self, inputs: Tensor) -> None:
        """Runs the layers that have statistics, to calibrate them.

        Args:
            inputs: images ``(N, C, H, W)``.
        """
        images = self._scaled(inputs)
        roi_head = getattr(self.detector, 'roi_head', None)
        if roi_head is not None and slimmable_norms(roi_head):
            self.detector(images, _blank_samples(images), 'tensor')
        else:
            self._run_heads(self.detector.extract_feat(images))

    def _run_heads(self, features: Sequence[Tensor]) -> None:
        """Runs the heads that take a neck's outputs."""
        for name in ('bbox_head', 'rpn_head'):
            head = getattr(self.detector, name, None)
            if head is not None:
                head(features)


@contextmanager
def _outputs(module: nn.Module) -> Iterator[List[Tensor]]:
    """The outputs of a module's last call inside."""
    found: List[Tensor] = []

    def note(module, args, outputs):
        found[:] = outputs if isinstance(outputs, (list, tuple)) else [outputs]

    hook = module.register_forward_hook(note)
    try:
        yield found
    finally:
        hook.remove()


@contextmanager
def _whole_inputs(model: nn.Module) -> Iterator[None]:
    """Raises ValueError inside if a convolution gets too few channels."""

    def check(conv, args):
        if args[0].shape[1] != conv.in_channels:
            raise ValueError(f'in_channels={conv.in_channels} in the config, '
                             f'{args[0].shape[1]} at full width')

    hooks = [
        module.register_forward_pre_hook(check) for module in model.modules()
        if isinstance(module, SlimmableConv2d)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _blank_samples(images: Tensor) -> List:
    """mmdet's data samples of images that fill their batch."""
    from mmdet.structures import DetDataSample
    size = tuple(images.shape[-2:])
    meta = dict(
        img_shape=size,
        pad_shape=size,
        batch_input_shape=size,
        ori_shape=size,
        scale_factor=(1., 1.))
    return [DetDataSample(metainfo=meta) for _ in images]
