"""Detectors in MMDetection: checks of configs, and inference over a bank."""

import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Union

import numpy as np
import torch
from mmengine.registry import DefaultScope

from ..deploy.bank import KeptSubnet, read_bank
from ..deploy.bank_networks import build_supernet
from ..deploy.selection import check_limits, fits, most_accurate
from ..errors import InputError
from ..models import SupernetDetector
from ..registry import importing_nothing
from ..structures import Subnet
from .adaptive_classifier import SubnetTable


class AdaptiveDetector:
    """One detector at many sizes, for a device whose resources vary.

    Args:
        bank: the folder that training an adaptive detector ends with.
        device: where it goes.
        trust: packages whose registered classes the bank may name, besides
            those that every bank may. They are imported.

    Attributes:
        subnets (SubnetTable): the kept subnets, smallest first.
        resources (dict[str, str]): the unit of every resource, which the
            backbone's costs are in.
        classes (tuple[str] or None): names of the classes.

    Raises:
        InputError: for a bank that is not whole, or of no detector.
    """

    def __init__(
        self,
        bank: Union[str, Path],
        device: Union[str, torch.device] = 'cpu',
        trust: Sequence[str] = ()
    ) -> None:
        contents = read_bank(bank, trust=trust)
        self.subnets = SubnetTable.of(contents)
        self.resources = contents.resources
        self.classes = contents.classes
        self.model: SupernetDetector = build_supernet(contents, device,
                                                      SupernetDetector)
        self._statistics = {
            subnet: {
                name: (mean.to(device), var.to(device))
                for name, (mean, var) in statistics.items()
            }
            for subnet, statistics in contents.statistics.items()
        }
        self._steps = _steps(contents.pipeline)
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
        return most_accurate(self.subnets, check_limits(limits, self.resources),
                             self.resources)

    def switch(self,
               subnet: Union[KeptSubnet, Subnet, str, None] = None,
               /,
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
            kept = next(
                (k for k in self.subnets if subnet in (k, k.name, k.subnet)),
                None)
            if kept is None:
                raise InputError(f'{subnet!r} is not in the bank; '
                                 'expected one of '
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
            images: one or a list of: a path; an array ``(H, W, C)`` or, grey,
                ``(H, W)``, channels BGR, values 0 to 255.

        Returns:
            Data samples with ``pred_instances``: ``bboxes`` (in pixels of the
            image: left, top, right, bottom), ``scores``, ``labels``.

        Raises:
            InputError: for a file that is no image, and an image of another
                shape or type.
        """
        from mmengine.dataset import pseudo_collate
        several = isinstance(images, (list, tuple))
        loaded = [
            self._load(image, i, f'images[{i}]' if several else 'images')
            for i, image in enumerate(images if several else [images])
        ]
        if not loaded:
            return []
        with self._using:
            data = self.model.data_preprocessor(pseudo_collate(loaded), False)
            return self.model(**data, mode='predict')

    def _load(self, image: Any, number: int, where: str) -> Dict[str, Any]:
        """An image as the pipeline gives it."""
        if isinstance(image, (str, Path)):
            where = str(image)
            if not Path(image).is_file():
                raise InputError(f'{where}: no such file')
            results = _attempt(self._steps['file'], dict(img_path=where),
                               f'{where}: cannot be read as an image')
        elif isinstance(image, np.ndarray):
            results = self._steps['array'](dict(img=self._pixels(image, where)))
        else:
            raise InputError(f'{where}: {type(image).__name__} is not an '
                             'image; expected a path or an array')
        shape = results['img'].shape
        packed = _attempt(
            self._steps['rest'], dict(results, img_id=number),
            f'{where}: shape {shape} (height, width, channels) '
            'cannot be preprocessed')
        channels = packed['inputs'].shape[0]
        if channels != self.model.input_channels:
            raise InputError(f'{where}: {channels} channels after '
                             f'preprocessing: expected '
                             f'{self.model.input_channels}')
        return packed

    def _pixels(self, image: np.ndarray, where: str) -> np.ndarray:
        """An array as image files give it, as many channels as the model's."""
        channels = image.shape[2] if image.ndim == 3 else 1
        wanted = self.model.input_channels
        if image.ndim not in (2, 3) or 0 in image.shape or \
                channels not in (1, wanted):
            raise InputError(f'{where}: an array of shape {image.shape}: '
                             f'expected (H, W, {wanted}), or (H, W) for grey')
        if image.dtype.kind not in 'uif':
            raise InputError(f'{where}: an array of type {image.dtype}: '
                             'expected numbers from 0 to 255')
        if not (image.min() >= 0 and image.max() <= 255):
            raise InputError(f'{where}: values from {image.min():g} to '
                             f'{image.max():g}: expected 0 to 255, as in '
                             'image files')
        if image.dtype != np.uint8:
            image = image.astype(np.float32)
        if image.ndim == 2 or channels != wanted:
            image = np.repeat(image.reshape(*image.shape[:2], 1), wanted, 2)
        return np.ascontiguousarray(image)


def _attempt(steps: Callable[[Dict[str, Any]], Any], results: Dict[str, Any],
             message: str) -> Dict[str, Any]:
    """What steps give, and one error for whatever they and the libraries that
    they call raise."""
    try:
        found = steps(results)
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f'{message} ({first})') from None
    if found is None:  # as steps say that an image is left out
        raise InputError(message)
    return found


def _steps(pipeline: List[Dict[str, Any]]) -> Dict[str, Any]:
    """A bank's transforms: for files, for arrays, and what follows on both;
    none for annotations."""
    from mmdet.registry import TRANSFORMS
    from mmengine.dataset import Compose
    first, *rest = (
        step for step in pipeline
        if step['type'].rpartition('.')[2] != 'LoadAnnotations')
    configs = {
        'file': [first],
        'array': [dict(type='LoadImageFromNDArray')],
        'rest': rest
    }
    try:
        with DefaultScope.overwrite_default_scope('mmdet'), \
                importing_nothing():
            return {
                name:
                Compose([TRANSFORMS.build(_tuples(step)) for step in steps])
                for name, steps in configs.items()
            }
    except Exception as error:  # whatever a wrong config makes a type raise
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError('bank: preprocessing.pipeline cannot be built '
                         f'({first})') from None


def _tuples(value: Any) -> Any:
    """A transform's config with tuples, which some insist on, for lists that
    a bank made of them."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_tuples(item) for item in value]
        return items if any(isinstance(item, dict) for item in items) \
            else tuple(items)
    return value
