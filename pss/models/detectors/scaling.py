"""Images and their annotations at the scale of a subnet.

The resolution of a detector's subnet is relative: pipelines deliver images of
many shapes, and a subnet sees each scaled by ``its resolution / the largest``.
Boxes are scaled too, and predictions come back at the images' own size.
"""

from typing import Any, List, Optional, Tuple

from torch import Tensor
from torch.nn import functional as F

Size = Tuple[int, int]


def scaled_size(size: Size, scale: float) -> Size:
    """Height and width at a scale, in whole pixels."""
    height, width = (max(1, round(side * scale)) for side in size)
    return height, width


def size_of(images: Tensor) -> Size:
    """Height and width of images ``(N, C, H, W)``."""
    height, width = images.shape[-2:]
    return height, width


def scale_images(images: Tensor, scale: float) -> Tensor:
    """Images ``(N, C, H, W)`` at a scale.

    Bilinear without aligned corners: then a box at ``x`` is at ``scale * x``.
    """
    size = scaled_size(size_of(images), scale)
    if size == size_of(images):
        return images
    return F.interpolate(images, size, mode='bilinear', align_corners=False)


def scale_samples(samples: Optional[List], before: Size,
                  after: Size) -> Optional[List]:
    """Copies of data samples whose images were scaled.

    Args:
        samples: mmdet's, with boxes as tensors; they are not changed.
        before, after: height and width of the batch.
    """
    if samples is None or before == after:
        return samples
    return [
        _scale_sample(sample, after[0] / before[0], after[1] / before[1])
        for sample in samples
    ]


def _scale_sample(sample: Any, y: float, x: float) -> Any:
    copy = sample.new()
    meta = {}
    for key in ('img_shape', 'pad_shape', 'batch_input_shape'):
        if key in copy.metainfo_keys():
            height, width = copy.get(key)[:2]
            meta[key] = (round(height * y), round(width * x))
    width, height = copy.get('scale_factor', (1., 1.))[:2]
    meta['scale_factor'] = (width * x, height * y)
    copy.set_metainfo(meta)
    for key in ('gt_instances', 'ignored_instances', 'proposals'):
        if key in copy and 'bboxes' in copy.get(key):
            instances = copy.get(key).new()
            boxes = instances.bboxes
            instances.bboxes = boxes * boxes.new_tensor([x, y, x, y])
            setattr(copy, key, instances)
    return copy
