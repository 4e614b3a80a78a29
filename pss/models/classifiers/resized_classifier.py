"""A classifier that works at a fixed resolution."""

from typing import Any

from mmpretrain.models import ImageClassifier
from torch import Tensor

from ...registry import MODELS
from .supernet_classifier import resize


@MODELS.register_module()
class ResizedClassifier(ImageClassifier):
    """mmpretrain's ``ImageClassifier`` that resizes images as a supernet does.

    Args:
        resolution: height and width in pixels that the network works at.
        args, kwargs: as for ``ImageClassifier``.
    """

    def __init__(self, *args, resolution: int, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.resolution = resolution

    def extract_feat(self, inputs: Tensor, stage: str = 'neck') -> Any:
        """As in ``ImageClassifier``, at the classifier's resolution."""
        return super().extract_feat(resize(inputs, self.resolution), stage)
