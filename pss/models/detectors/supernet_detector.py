"""The detector that is one network at many sizes."""

from typing import Any, Dict, List, Optional, Sequence, Set, Tuple, Union

from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...checks import check_number, shown
from ...errors import InputError
from ...registry import MODELS
from ...structures import SearchSpace, Subnet
from ...supernet import Block, hooked
from ..memory_format import memory_format_of
from ..switching import Statistics, slimmable_norms, switch
from ..widening import check_widths, make_slimmable
from .backbone_at_size import BackboneAtSize
from .distillation import feature_divergence
from .mmdet_detector import (
    build_detector,
    detector_keys,
    hide_prefix,
    keep_predictions,
)
from .scaling import Size, scale_images, scale_samples, size_of

_SMALL = 256  # pixels of blank images: channels do not depend on their size
# The parts that take features; a detector has some of them.
_PARTS = ('neck', 'bbox_head', 'rpn_head')


@MODELS.register_module()
class SupernetDetector(BaseModel):
    """One of mmdet's detectors over a slimmable backbone.

    At any moment it behaves as its active subnet. A subnet sees images scaled
    by ``its resolution / the largest`` from the size that pipelines deliver,
    resized inside the model; boxes are scaled too.

    **What is distilled.** The largest subnet learns from the annotations. The
    others learn from them too, and their neck's outputs follow the largest
    one's (:func:`.feature_divergence`). Neck outputs are what all detectors
    have, one-stage or two-stage, with anchors or without, and all their subnets
    too: the same levels and channels. Scores of heads would not do: at another
    scale they belong to other places, and a second stage's to other proposals.
    Features alone would not do either: the heads would never see what narrow
    subnets make of an image. So the score of a subnet is minus its detection
    loss, without the distillation.

    Args:
        detector: its type in mmdet, such as ``mmdet.RetinaNet``.
        input_size: height and width of the images that pipelines deliver,
            or of most of them. Costs are counted at it; its shorter side is
            the largest of the space's resolutions.
        distillation: the weight of the distillation in the loss, at least 0.
        channels_last: whether images and weights lie in memory channels last,
            which is faster for convolutions on CPUs and in half precision on
            GPUs; ``'auto'`` for CPUs only.
        init_cfg: how to initialise.
        **parts: the rest of the detector's config, as mmdet has it. The
            backbone is a :class:`.SlimmableBackbone`. The first layers of neck
            and heads are convolutions, or get features of a fixed width: their
            convolutions become slimmable, and their batch norms get statistics
            for each subnet.

    Raises:
        InputError: if the backbone has no subnets or normalises with fixed
            statistics, or neck or head cannot take its features; it has the
            number of their channels.

    Attributes:
        active_subnet: the subnet that the next forward pass runs;
            initially the largest.
        norms (dict): the slimmable batch norms by module name.
        memory_format (torch.memory_format): how images lie in memory.
    """

    def __init__(self,
                 detector: str,
                 input_size: Sequence[int],
                 distillation: float = 1.,
                 channels_last: Union[bool, str] = False,
                 init_cfg: Optional[dict] = None,
                 **parts: Any) -> None:
        built = build_detector(detector, parts)
        super().__init__(built.data_preprocessor, init_cfg)
        self.detector = built
        hide_prefix(self)
        self.distillation = check_number('distillation', distillation, least=0)
        self._check_backbone()
        self.input_size = self._checked_size(input_size)
        for part in self._parts:
            make_slimmable(part, (nn.Conv2d, nn.BatchNorm2d))
        if self._roi_head is not None:
            make_slimmable(self._roi_head, (nn.BatchNorm2d, ))
        self.memory_format = memory_format_of(channels_last)
        self.to(memory_format=self.memory_format)
        self.norms = slimmable_norms(built)
        self.switch_to(self.search_space.largest)
        check_widths(self, self._run_first_stage,
                     ' and '.join(type(part).__name__ for part in self._parts))

    @classmethod
    def config_keys(cls, cfg: Dict[str, Any]) -> Set[str]:
        """The keys that a config may have: its own, and the detector's."""
        return detector_keys(cls, cfg)

    @property
    def _parts(self) -> List[nn.Module]:
        """Neck and heads, where the detector has them."""
        parts = (getattr(self.detector, name, None) for name in _PARTS)
        return [part for part in parts if part is not None]

    @property
    def _roi_head(self) -> Optional[nn.Module]:
        """The second stage, where the detector has one."""
        return getattr(self.detector, 'roi_head', None)

    def _check_backbone(self) -> None:
        backbone = self.backbone
        if not hasattr(backbone, 'search_space'):
            raise InputError(f'backbone: {type(backbone).__name__} has no '
                             'subnets; expected pss.SlimmableMobileNetV1, '
                             'pss.SlimmableMobileNetV2, pss.SlimmableResNet')
        if not backbone.drives:
            return
        for key, expected in (('norm_eval', False), ('frozen_stages', -1)):
            value = getattr(backbone, key, expected)
            norms = any(isinstance(m, _BatchNorm) for m in backbone.modules())
            if value != expected and norms:
                raise InputError(
                    f'backbone.{key}={value!r}: batch norms would normalise '
                    "every subnet with the largest one's statistics; expected "
                    f'{expected!r}')

    def _checked_size(self, size: Any) -> Size:
        largest = self.search_space.largest.resolution
        if not isinstance(size, (list, tuple)) or len(size) != 2 or not all(
                type(side) is int and side > 0 for side in size):
            raise InputError(f'input_size={shown(size)}: expected the height '
                             'and the width of images in pixels')
        height, width = size
        if min(size) != largest:
            raise InputError(
                f'input_size={tuple(size)}: expected a shorter side that is '
                f"the largest of the backbone's search_space.resolutions, "
                f'{largest}: at that resolution images are not resized')
        return height, width

    @property
    def backbone(self) -> Any:
        """The detector's backbone."""
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
        """The backbone at its size, on which subnets' costs are counted."""
        return BackboneAtSize(self.backbone, self.input_size)

    @property
    def network(self) -> Dict[str, Any]:
        """Only latency tables need it, and they do not cover detectors.

        Raises:
            InputError: always.
        """
        return self.costed.network

    def blocks(self) -> List[Block]:
        """Only latency tables need them, and they do not cover detectors.

        Raises:
            InputError: always.
        """
        return self.costed.blocks()

    def image_size(self, resolution: int) -> Size:
        """Height and width of blank images, whatever the resolution."""
        height, width = self.input_size
        return min(height, _SMALL), min(width, _SMALL)

    @property
    def scale(self) -> float:
        """The scale of the active subnet's images."""
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
            subnet: a subnet of ``search_space``.
            statistics: its batch-norm statistics, see :func:`.switch`.

        Raises:
            InputError: if the subnet is not in the space.
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
            data_samples: annotations; ``pass`` and ``loss`` need them.
            mode: ``tensor``, ``predict``, ``loss``, or ``pass``: one pass of a
                training iteration, see :meth:`training_pass`.
            teacher: for ``pass``.
        """
        if mode == 'pass':
            return self.training_pass(inputs, data_samples, teacher)
        images = self._scaled(inputs)
        samples = scale_samples(data_samples, size_of(inputs), size_of(images))
        results = self.detector(images, samples, mode)
        if mode == 'predict':
            return keep_predictions(results, data_samples)
        return results

    def training_pass(
            self, inputs: Tensor, data_samples: Optional[List],
            teacher: Optional[List[Tensor]]
    ) -> Tuple[Dict[str, Any], List[Tensor]]:
        """The loss of the active subnet in a training iteration.

        Args:
            inputs: images ``(N, C, H, W)``.
            data_samples: annotations.
            teacher: the largest subnet's features, or ``None`` in the pass that
                computes them.

        Returns:
            Losses, and the neck's outputs, detached. With a teacher there are
            also ``loss_distillation``, and ``task``, the sum of the detector's
            own losses, detached: the subnet's score is minus that.
        """
        images = self._scaled(inputs)
        samples = scale_samples(data_samples, size_of(inputs), size_of(images))
        features: List[Tensor] = []

        def note(module: nn.Module, args: Any, outputs: Any) -> None:
            features[:] = outputs if isinstance(outputs, (list, tuple)) \
                else [outputs]

        with hooked(after=[(self._featuring, note)]):
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
        """The part whose outputs the heads take."""
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
        """Runs all layers that have statistics on images ``(N, C, H, W)``, to
        calibrate them."""
        images = self._scaled(inputs)
        if self._roi_head is not None and slimmable_norms(self._roi_head):
            self.detector(images, _blank_samples(images), 'tensor')
        else:
            self._run_first_stage(images)

    def _run_first_stage(self, images: Tensor) -> None:
        """Runs backbone, neck and the heads that take the neck's outputs."""
        features = self.detector.extract_feat(images)
        for name in ('bbox_head', 'rpn_head'):
            head = getattr(self.detector, name, None)
            if head is not None:
                head(features)


def _blank_samples(images: Tensor) -> List:
    """mmdet's data samples for images that fill their batch."""
    from mmdet.structures import DetDataSample
    size = size_of(images)
    meta = dict(
        img_shape=size,
        pad_shape=size,
        batch_input_shape=size,
        ori_shape=size,
        scale_factor=(1., 1.))
    return [DetDataSample(metainfo=meta) for _ in images]
