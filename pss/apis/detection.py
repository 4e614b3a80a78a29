"""Detectors in MMDetection: checks of configs, and inference over a bank."""

import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ..deploy.adaptive_networks import build_supernet
from ..deploy.bank import KeptSubnet, read_bank
from ..deploy.selection import check_limits, fits, most_accurate
from ..errors import InputError
from ..models import SupernetDetector
from ..models.detectors.scaling import scale_images
from ..registry import MODELS
from ..resources.fvcore_counter import evaluating
from ..resources.layers import blank
from ..structures import Subnet
from .adaptive import SubnetTable

BACKBONES = ('pss.SlimmableMobileNetV1', 'pss.SlimmableMobileNetV2',
             'pss.SlimmableResNet')


def feature_channels(backbone: Union[nn.Module, Dict[str, Any]]) -> List[int]:
    """How many channels a backbone's features have: a neck's ``in_channels``.

    Args:
        backbone: one of ours, or its config: at full width, unless it is one
            subnet.
    """
    if not isinstance(backbone, nn.Module):
        cfg = dict(backbone)
        cfg.pop('init_cfg', None)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            backbone = MODELS.build(cfg)
    with evaluating(backbone):
        features = backbone(blank(backbone, 64))
    return [level.shape[1] for level in features]


def check_detector(config: Config) -> None:
    """Fills in or checks the channels that a detector's neck takes.

    Only where the backbone is one of ours and the neck lists its
    ``in_channels``; they are worked out where they are missing or ``None``.

    Raises:
        InputError: if they are others than the backbone's features have.
    """
    model = config.get('model') or {}
    backbone, neck = model.get('backbone') or {}, model.get('neck')
    if backbone.get('type') not in BACKBONES or not isinstance(neck, dict):
        return
    if 'GlobalAveragePooling' in neck.get('type', ''):
        return  # a classifier's
    found = feature_channels(backbone)
    given = neck.get('in_channels')
    if given is None:
        neck['in_channels'] = found
    elif isinstance(given, (list, tuple)) and list(given) != found:
        raise InputError(
            f'model.neck.in_channels={list(given)}: legal are {found}, the '
            f'channels of the features that {backbone["type"]} gives'
            + (' as that subnet' if backbone.get('subnet') else ''))


@torch.no_grad()
def raw_outputs(model: nn.Module, images: Tensor) -> Tensor:
    """What a detector's first heads put out, in one row.

    Args:
        model: a detector of mmdet's, or one of the classes around them.
        images: preprocessed ones ``(N, C, H, W)``.
    """
    detector = getattr(model, 'detector', model)
    features = detector.extract_feat(
        scale_images(images, getattr(model, 'scale', 1.)))
    outputs = [head(features) for head in (
        getattr(detector, 'bbox_head', None),
        getattr(detector, 'rpn_head', None)) if head is not None]
    return torch.cat([level.flatten() for found in outputs
                      for levels in found for level in levels])


class AdaptiveDetector:
    """One detector at many sizes, for a device whose resources vary.

    Args:
        bank: the folder that training an adaptive detector ends with.
        device: where it goes.

    Attributes:
        subnets (SubnetTable): the kept subnets, smallest first.
        resources (dict[str, str]): the unit of every resource, which the
            backbone's costs are in.
        classes (tuple[str] or None): names of the classes.

    Raises:
        InputError: for a bank that is not whole, or of no detector.
    """

    def __init__(self, bank: Union[str, Path],
                 device: Union[str, torch.device] = 'cpu') -> None:
        contents = read_bank(bank)
        self.subnets = SubnetTable.of(contents)
        self.resources = contents.resources
        self.classes = contents.classes
        self.model: SupernetDetector = build_supernet(contents, device,
                                                      SupernetDetector)
        self._statistics = {
            subnet: {name: (mean.to(device), var.to(device))
                     for name, (mean, var) in statistics.items()}
            for subnet, statistics in contents.statistics.items()}
        self._pipeline = _pipeline(contents.pipeline)
        # the model is one subnet at a time
        self._using = threading.Lock()
        self.switch()

    @property
    def active(self) -> KeptSubnet:
        """The subnet that detects; at first the most accurate."""
        return self._active

    def __repr__(self) -> str:
        return f'AdaptiveDetector(active={self.active.name!r})\n' \
               f'{self.subnets!r}'

    def select(self, **limits: float) -> KeptSubnet:
        """The most accurate subnet, on held-out images, that fits all limits.

        Args:
            **limits: most that the backbone may cost, as in
                :meth:`.AdaptiveClassifier.select`.

        Raises:
            InputError: if no subnet fits, and for an unknown limit.
        """
        return most_accurate(self.subnets,
                             check_limits(limits, self.resources),
                             self.resources)

    def switch(self, subnet: Union[KeptSubnet, Subnet, str, None] = None, /,
               **limits: float) -> KeptSubnet:
        """Makes a subnet active: the one given, or that :meth:`select` gives.

        Args:
            subnet: an entry of :attr:`subnets`, its name, or its subnet.
            **limits: as for :meth:`select`.

        Raises:
            InputError: as :meth:`select`; for a subnet that is not in the
                bank, or that exceeds limits given beside it.
        """
        if subnet is None:
            kept = self.select(**limits)
        else:
            kept = next((k for k in self.subnets
                         if subnet in (k, k.name, k.subnet)), None)
            if kept is None:
                raise InputError(f'{subnet!r} is not in the bank; legal are '
                                 f'{[k.name for k in self.subnets]}')
            if not fits(kept, check_limits(limits, self.resources)):
                raise InputError(f'{kept.name!r} contradicts the limits '
                                 f'{limits}: it needs {dict(kept.costs)}')
        with self._using:
            self.model.switch_to(kept.subnet, self._statistics[kept.subnet])
            self._active = kept
        return kept

    @torch.no_grad()
    def predict(self, images: Union[str, Path, np.ndarray, Sequence]) -> List:
        """Boxes, one of mmdet's data samples an image.

        Args:
            images: one or a list of: a path; an array ``(H, W, C)``, channels
                BGR.

        Returns:
            Data samples with ``pred_instances``: ``bboxes`` (in pixels of the
            image: left, top, right, bottom), ``scores``, ``labels``.
        """
        from mmengine.dataset import pseudo_collate
        several = isinstance(images, (list, tuple))
        loaded = [self._load(image, i) for i, image in
                  enumerate(images if several else [images])]
        if not loaded:
            return []
        with self._using:
            data = self.model.data_preprocessor(pseudo_collate(loaded), False)
            return self.model(**data, mode='predict')

    def _load(self, image: Any, number: int) -> Dict[str, Any]:
        if isinstance(image, np.ndarray):
            return self._pipeline['array'](dict(img=image, img_id=number))
        if not Path(image).is_file():
            raise InputError(f'{image}: no such file')
        return self._pipeline['file'](dict(img_path=str(image),
                                           img_id=number))


def _pipeline(steps: Optional[List[Dict[str, Any]]]) -> Dict[str, Any]:
    """A bank's transforms, for files and for arrays; none for annotations."""
    from mmengine.dataset import Compose
    kept = [step for step in steps
            if step['type'].rpartition('.')[2] != 'LoadAnnotations']
    with DefaultScope.overwrite_default_scope('mmdet'):
        from mmdet.registry import TRANSFORMS
        pipelines = {}
        for name, first in (('file', kept[0]),
                            ('array', dict(type='LoadImageFromNDArray'))):
            pipelines[name] = Compose([TRANSFORMS.build(_step(step))
                                       for step in [first, *kept[1:]]])
    return pipelines


def _step(step: Dict[str, Any]) -> Dict[str, Any]:
    """A transform's config with tuples, which some insist on, for lists that
    a bank made of them."""
    return {key: tuple(value) if isinstance(value, list) and not any(
                isinstance(item, dict) for item in value) else value
            for key, value in step.items()}
