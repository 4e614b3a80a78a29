"""Random crops, resized by torch."""

import numpy as np
import pytest
from mmpretrain.datasets import RandomResizedCrop

from pss.datasets import AntialiasedResizedCrop
from pss.errors import InputError


def photograph(rng, height, width):
    """An image with coarse and fine detail."""
    import cv2
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 20, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic'])
@pytest.mark.parametrize('shape, scale', [((375, 500), 224), ((80, 60), 224),
                                          ((375, 500), (96, 128)),
                                          ((900, 300), 64)])
def test_it_is_as_pillow_does(shape, scale, interpolation):
    """Oracle: mmpretrain's transform with its Pillow backend and the same
    draws: no pixel differs by more than 2, few by 1."""
    rng = np.random.default_rng(0)
    options = dict(
        scale=scale, crop_ratio_range=(0.25, 1.), interpolation=interpolation)
    ours = AntialiasedResizedCrop(**options)
    theirs = RandomResizedCrop(**options, backend='pillow')
    for seed in range(8):
        image = photograph(rng, *shape)
        found = []
        for transform in (ours, theirs):
            np.random.seed(seed)
            found.append(transform.transform(dict(img=image.copy())))
        assert found[0]['img_shape'] == found[1]['img_shape']
        one, other = (f['img'].astype(int) for f in found)
        assert found[0]['img'].dtype == np.uint8
        assert np.abs(one - other).max() <= 2
        assert np.abs(one - other).mean() < 0.03
        assert abs((one - other).mean()) < 0.01


def test_grey_images_and_bad_values():
    """Oracle: one of the three equal channels of the image in colour."""
    grey = photograph(np.random.default_rng(1), 60, 80)[..., 0]
    crop = AntialiasedResizedCrop(32)
    found = []
    for image in (grey, np.stack([grey] * 3, -1), grey[..., None]):
        np.random.seed(3)
        found.append(crop.transform(dict(img=image))['img'])
    assert found[0].shape == (32, 32) and found[2].shape == (32, 32, 1)
    np.testing.assert_array_equal(found[0], found[1][..., 1])
    np.testing.assert_array_equal(found[0], found[2][..., 0])
    with pytest.raises(InputError, match="interpolation='area'"):
        AntialiasedResizedCrop(32, interpolation='area')
