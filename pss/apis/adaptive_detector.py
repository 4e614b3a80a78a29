"""A detector that switches between the subnets of a bank."""

import threading
from pathlib import Path
from typing import Any, List, Sequence, Union

import numpy as np
import torch

from ..deploy.bank import KeptSubnet
from ..deploy.bank_networks import build_supernet
from ..deploy.bank_reading import read_bank
from ..deploy.detector_preprocessing import DetectorPreprocessing
from ..deploy.vocabularies import Trust
from ..files import FilePath
from ..models import SupernetDetector
from ..runtime import BankSelection


class AdaptiveDetector(BankSelection):
    """One detector at many sizes, for a device whose resources vary.

    ::

        net = AdaptiveDetector('work_dirs/demo/bank')
        net.switch(flops=60)         # the most accurate within 60 MFLOPs
        net.predict('image.png')[0].pred_instances

    The detector is one subnet at a time: predictions and switches wait for each
    other, so any number of threads may call them.

    Args:
        bank: the bank's folder, see :mod:`pss.deploy.bank_format`.
        device: where the detector goes.
        trust: packages whose registered classes the bank may name, see
            :func:`.read_bank`; by default, reading a bank runs no code in it.

    Attributes:
        subnets (SubnetTable): the kept subnets, smallest first.
        resources (dict[str, str]): the unit of every resource; the costs are
            the backbone's.
        classes (tuple[str] or None): names of the classes.

    Raises:
        InputError: for a bank that cannot be read or is not a detector's.
    """

    def __init__(
        self,
        bank: FilePath,
        device: Union[str, torch.device] = 'cpu',
        trust: Trust = ()) -> None:
        contents = read_bank(bank, trust=trust)
        super().__init__(contents)
        self.model = build_supernet(contents, SupernetDetector, device)
        self._statistics = {
            subnet: {
                name: (mean.to(device), var.to(device))
                for name, (mean, var) in statistics.items()
            }
            for subnet, statistics in contents.statistics.items()
        }
        self._preprocessing = DetectorPreprocessing(contents.pipeline,
                                                    self.model.input_channels)
        # the model is one subnet at a time
        self._using = threading.Lock()
        self.switch()

    @property
    def active(self) -> KeptSubnet:
        """The subnet that the next request runs; at first the most accurate.

        :meth:`.BankSelection.switch` changes it.
        """
        return self._active

    def __repr__(self) -> str:
        return f'AdaptiveDetector(active={self.active.name!r})\n' \
               f'{self.subnets!r}'

    def _activate(self, kept: KeptSubnet) -> None:
        with self._using:
            self.model.switch_to(kept.subnet, self._statistics[kept.subnet])
            self._active = kept

    @torch.no_grad()
    def predict(self, images: Union[str, Path, np.ndarray, Sequence]) -> List:
        """Boxes, in one of MMDetection's data samples for each image.

        Args:
            images: one image or a list of them, each a path; or an array ``(H,
                W, C)`` or, grey, ``(H, W)``. Channels are BGR, as OpenCV reads
                them, and values 0 to 255.

        Returns:
            Data samples with ``pred_instances``: ``bboxes`` (left, top, right
            and bottom in pixels of the image), ``scores``, ``labels``.

        Raises:
            InputError: for a file that is not an image, and for an image of
                another shape or type.
        """
        from mmengine.dataset import pseudo_collate
        if isinstance(images, (list, tuple)):
            named = [(image, f'images[{i}]') for i, image in enumerate(images)]
        else:
            named = [(images, 'images')]
        loaded = [
            self._preprocessing.load(image, i, where)
            for i, (image, where) in enumerate(named)
        ]
        if not loaded:
            return []
        with self._using:
            preprocessor: Any = self.model.data_preprocessor
            data = preprocessor(pseudo_collate(loaded), False)
            return self.model(**data, mode='predict')
