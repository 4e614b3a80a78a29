"""Flips and changes of colours, for a batch of images on the device."""

from collections import defaultdict
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from mmpretrain.models import ClsDataPreprocessor
from torch import Tensor

from ..errors import InputError
from ..registry import MODELS

# Of one image: names of steps, and their numbers.
Steps = Sequence[Tuple[str, Sequence[float]]]
# Weights of red, green and blue in grey, of 65,536: Pillow's.
GREY = (19595., 38470., 7471.)


@MODELS.register_module()
class AugmentingPreprocessor(ClsDataPreprocessor):
    """mmpretrain's ``ClsDataPreprocessor``, which first does to images what was
    drawn for them when they were loaded.

    :class:`.DeferredFlip`, ``DeferredColorJitter`` and ``DeferredLighting``
    draw, and ``PackDeferred`` hands over, with channels last. Images that
    ``PackInputs`` has packed, such as those of tests, stay as they are.
    """

    def forward(self,
                data: Dict[str, Any],
                training: bool = False) -> Dict[str, Any]:
        """See ``ClsDataPreprocessor``.

        Raises:
            InputError: if images to be changed have not three channels and one
                size.
        """
        deferred = [
            sample.metainfo.get('deferred')
            for sample in data.get('data_samples') or ()
        ]
        if any(steps is not None for steps in deferred):
            data = dict(data, inputs=self._augmented(data['inputs'], deferred))
        return super().forward(data, training)

    def _augmented(self, inputs: Any,
                   deferred: Sequence[Optional[Steps]]) -> Tensor:
        inputs = self.cast_data(inputs)
        if isinstance(inputs, Tensor):
            images = inputs.permute(0, 3, 1, 2)
        else:
            turned = [
                image if steps is None else image.permute(2, 0, 1)
                for image, steps in zip(inputs, deferred)
            ]
            shapes = {tuple(image.shape) for image in turned}
            if len(shapes) > 1:
                raise InputError(f'images of {sorted(shapes)}: expected one '
                                 'size, since they are changed in batches')
            images = torch.stack(turned)
        if images.dim() != 4 or images.shape[1] != 3:
            raise InputError(
                f'images of {tuple(images.shape[1:])}: expected three '
                'channels, since they are changed in batches')
        if not any(deferred):
            return images
        # loaded by OpenCV, unless they are not turned round afterwards
        images = images.flip(1) if self.to_rgb else images
        images = augment(images.float(), [steps or () for steps in deferred])
        return images.flip(1) if self.to_rgb else images


def augment(images: Tensor, steps: Sequence[Steps]) -> Tensor:
    """Flips images and changes their colours.

    Args:
        images: RGB, ``(N, 3, H, W)``, float; not changed.
        steps: of each image, in order: ``('horizontal', ())``, ``'vertical'``
            and ``'diagonal'``, which flip; ``('brightness', (factor, ))``,
            ``'contrast'`` and ``'saturation'``, which round as Pillow does;
            and ``('lighting', (r, g, b))``, which is added.
    """
    images = images.clone()
    for place in range(max(map(len, steps))):
        rows: Dict[str, List[int]] = defaultdict(list)
        for i, mine in enumerate(steps):
            if place < len(mine):
                rows[mine[place][0]].append(i)
        for name, chosen in rows.items():
            index = torch.tensor(chosen, device=images.device)
            values = torch.tensor([list(steps[i][place][1]) for i in chosen],
                                  dtype=images.dtype,
                                  device=images.device)[:, :, None, None]
            images[index] = _CHANGES[name](images[index], values)
    return images


def _grey(images: Tensor) -> Tensor:
    """Grey levels ``(N, 1, H, W)``, integers."""
    weights = images.new_tensor(GREY)[:, None, None]
    total = (images * weights).sum(1, keepdim=True)
    return ((total + 32768.) / 65536.).floor()


def _blend(first: Any, images: Tensor, factor: Tensor) -> Tensor:
    return (first + factor * (images - first)).clamp(0., 255.).floor()


def _brighten(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(0., images, factor)


def _change_contrast(images: Tensor, factor: Tensor) -> Tensor:
    mean = _grey(images).mean((1, 2, 3), dtype=torch.float64, keepdim=True)
    return _blend((mean + 0.5).floor().to(images.dtype), images, factor)


def _saturate(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(_grey(images), images, factor)


_CHANGES: Dict[str, Callable[[Tensor, Tensor], Tensor]] = dict(
    horizontal=lambda images, _: images.flip(3),
    vertical=lambda images, _: images.flip(2),
    diagonal=lambda images, _: images.flip(2, 3),
    brightness=_brighten,
    contrast=_change_contrast,
    saturation=_saturate,
    lighting=torch.add)
