"""What is drawn for each image when it is loaded, and done to whole batches by
:class:`.AugmentingPreprocessor`."""

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import torch
from mmcv.transforms import RandomFlip
from mmpretrain.datasets import ColorJitter, PackInputs

from ...checks import check_number, shown
from ...errors import InputError
from ...registry import TRANSFORMS

# Of an image's steps, in order: what is done, and with which numbers.
Deferred = List[Tuple[str, Tuple[float, ...]]]
STEPS = ('brightness', 'contrast', 'saturation')  # in mmpretrain's numbering


def add_step(results: Dict[str, Any], name: str,
             values: Sequence[float]) -> None:
    """Adds a step to what is deferred."""
    results.setdefault('deferred', []).append((name, tuple(values)))


@TRANSFORMS.register_module()
class DeferredFlip(RandomFlip):
    """mmcv's ``RandomFlip``, which draws here and moves pixels later.

    Only images are flipped, not boxes, keypoints or segmentation maps.

    Args:
        prob: how likely a flip is, or one for each direction.
        direction: ``'horizontal'``, ``'vertical'``, ``'diagonal'``, or several
            of them.
    """

    def __init__(self, prob: Any, direction: Any = 'horizontal') -> None:
        super().__init__(prob, direction)

    def _flip(self, results: Dict[str, Any]) -> None:
        for key in ('gt_bboxes', 'gt_keypoints', 'gt_seg_map'):
            if results.get(key) is not None:
                raise InputError(f'DeferredFlip: the sample has {key!r}: '
                                 'expected images with labels only')
        add_step(results, results['flip_direction'], ())


@TRANSFORMS.register_module()
class DeferredColorJitter(ColorJitter):
    """mmpretrain's ``ColorJitter``, which draws here and changes pixels later.

    Args:
        brightness, contrast, saturation: each draws a factor from ``1 - value``
            to ``1 + value``, or from the two values that are given.
    """

    def __init__(self,
                 brightness: Any = 0.,
                 contrast: Any = 0.,
                 saturation: Any = 0.) -> None:
        super().__init__(brightness, contrast, saturation)

    def transform(self, results: Dict[str, Any]) -> Dict[str, Any]:
        """Adds steps to ``deferred``."""
        order, *factors = self._rand_params()
        for place in order:
            if factors[place] is not None:
                add_step(results, STEPS[place], [float(factors[place])])
        return results


@TRANSFORMS.register_module()
class DeferredLighting:
    """AlexNet's change of lighting, as mmpretrain's ``Lighting`` draws it, made
    later.

    mmpretrain's rounds towards zero and lets bytes overflow, so that what is
    too bright becomes dark; this one does neither.

    Args:
        eigval: eigenvalues of the pixels' covariance, ``(3, )``.
        eigvec: their eigenvectors, one in each column: three rows for red,
            green and blue.
        alphastd: standard deviation of what each is multiplied with.
    """

    def __init__(self,
                 eigval: Sequence[float],
                 eigvec: Sequence[Sequence[float]],
                 alphastd: float = 0.1) -> None:
        self.alphastd = check_number(
            'DeferredLighting.alphastd', alphastd, least=0)
        values, vectors = np.array(eigval, float), np.array(eigvec, float)
        if values.shape != (3, ) or vectors.shape != (3, 3):
            raise InputError(
                f'DeferredLighting: eigval={shown(eigval)}, '
                f'eigvec={shown(eigvec)}: expected 3 numbers, and 3 times 3')
        self._effects = vectors * values

    def __call__(self, results: Dict[str, Any]) -> Dict[str, Any]:
        """Adds a step to ``deferred``."""
        alpha = np.random.normal(0, self.alphastd, 3)
        add_step(results, 'lighting', (self._effects * alpha).sum(1).tolist())
        return results


@TRANSFORMS.register_module()
class PackDeferred(PackInputs):
    """mmpretrain's ``PackInputs``, which also packs what is deferred.

    That channels come first in a batch is deferred too: ``inputs`` is the image
    as it was loaded, ``(H, W, C)``.

    Args:
        meta_keys: as for ``PackInputs``.
    """

    def __init__(
            self,
            meta_keys: Sequence[str] = PackInputs.DEFAULT_META_KEYS) -> None:
        super().__init__(meta_keys=(*meta_keys, 'deferred'))

    def transform(self, results: Dict[str, Any]) -> Dict[str, Any]:
        """Returns ``inputs`` and ``data_samples``."""
        image = np.ascontiguousarray(results['img'])
        planes = image[..., None] if image.ndim == 2 else image
        rest = {k: v for k, v in results.items() if k != 'img'}
        rest.setdefault('deferred', [])  # says how the image lies
        return dict(super().transform(rest), inputs=torch.from_numpy(planes))
