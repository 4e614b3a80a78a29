"""A detector that works at a fixed scale."""

from typing import Any, Dict, List, Optional, Set

from mmengine.model import BaseModel
from torch import Tensor

from ...checks import check_number
from ...registry import MODELS
from .mmdet_detector import (
    build_detector,
    detector_keys,
    hide_prefix,
    keep_predictions,
)
from .scaling import scale_images, scale_samples, size_of


@MODELS.register_module()
class ResizedDetector(BaseModel):
    """One of mmdet's detectors that resizes images as a supernet does.

    Args:
        detector: its type in mmdet, such as ``mmdet.RetinaNet``.
        scale: relative to the size that pipelines deliver, above 0.
        init_cfg: how to initialise.
        **parts: the rest of the detector's config.
    """

    def __init__(self,
                 detector: str,
                 scale: float,
                 init_cfg: Optional[dict] = None,
                 **parts: Any) -> None:
        built = build_detector(detector, parts)
        super().__init__(built.data_preprocessor, init_cfg)
        self.detector = built
        self.scale = check_number('scale', scale, above=0)
        hide_prefix(self)

    @classmethod
    def config_keys(cls, cfg: Dict[str, Any]) -> Set[str]:
        """The keys that a config may have: its own, and the detector's."""
        return detector_keys(cls, cfg)

    def forward(self,
                inputs: Tensor,
                data_samples: Optional[List] = None,
                mode: str = 'tensor') -> Any:
        """As in mmdet's detectors, at the detector's scale."""
        images = scale_images(inputs, self.scale)
        samples = scale_samples(data_samples, size_of(inputs), size_of(images))
        results = self.detector(images, samples, mode)
        if mode == 'predict':
            return keep_predictions(results, data_samples)
        return results
