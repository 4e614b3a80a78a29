"""Changes of colours, for a batch of images on the device."""

from collections import defaultdict
from typing import Any, Callable, Dict, List, Sequence, Tuple

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
    """mmpretrain's ``ClsDataPreprocessor``, which first makes the changes of
    colours that were drawn for images when they were loaded.

    :class:`.DeferredColorJitter` and ``DeferredLighting`` draw
    them, and ``PackDeferred`` hands them over. Images without any, such as
    those of tests, stay as they are.
    """

    def forward(self,
                data: Dict[str, Any],
                training: bool = False) -> Dict[str, Any]:
        """See ``ClsDataPreprocessor``.

        Raises:
            InputError: if images with changes of colours have not three
                channels and one size.
        """
        steps = [
            sample.metainfo.get('deferred', ())
            for sample in data.get('data_samples') or ()
        ]
        if any(steps):
            data = dict(data, inputs=self._augmented(data['inputs'], steps))
        return super().forward(data, training)

    def _augmented(self, inputs: Any, steps: Sequence[Steps]) -> Tensor:
        inputs = self.cast_data(inputs)
        if not isinstance(inputs, Tensor):
            shapes = {tuple(image.shape) for image in inputs}
            if len(shapes) > 1:
                raise InputError(f'images of {sorted(shapes)}: expected one '
                                 'size, since their colours are changed')
            inputs = torch.stack(list(inputs))
        if inputs.dim() != 4 or inputs.shape[1] != 3:
            raise InputError(
                f'images of {tuple(inputs.shape[1:])}: expected three '
                'channels, since their colours are changed')
        # loaded by OpenCV, unless they are not turned round afterwards
        images = inputs.flip(1) if self.to_rgb else inputs
        images = augment(images.float(), steps)
        return images.flip(1) if self.to_rgb else images


def augment(images: Tensor, steps: Sequence[Steps]) -> Tensor:
    """Changes the colours of images.

    Args:
        images: RGB, ``(N, 3, H, W)``, float; not changed.
        steps: of each image, in order: ``('brightness', (factor, ))``,
            ``'contrast'``, ``'saturation'``, and ``('lighting', (r, g, b))``,
            which is added. The first three round as Pillow does.
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
    brightness=_brighten,
    contrast=_change_contrast,
    saturation=_saturate,
    lighting=torch.add)
