"""Flips and changes of colours, drawn when images are loaded."""

import mmcv
import numpy as np
import pytest
from mmcv.transforms import RandomFlip
from mmpretrain.datasets import ColorJitter, PackInputs

from pss.datasets import (
    DeferredColorJitter,
    DeferredFlip,
    DeferredLighting,
    PackDeferred,
)
from pss.errors import InputError

VECTORS = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140],
           [-0.5836, -0.6948, 0.4203]]
VALUES = [55.4625, 4.7940, 1.1475]


def test_draws_are_mmpretrains():
    """Oracle: the parameters that mmpretrain's transform draws after the same
    seed; the image is not changed."""
    ours = DeferredColorJitter(0.4, (0.5, 1.), 0.2)
    theirs = ColorJitter(0.4, (0.5, 1.), 0.2)
    image = np.zeros((4, 4, 3), np.uint8)
    for seed in range(10):
        np.random.seed(seed)
        order, *factors = theirs._rand_params()
        np.random.seed(seed)
        found = ours.transform(dict(img=image))
        names = ['brightness', 'contrast', 'saturation', 'hue']
        assert found['deferred'] == [(names[i], (factors[i], )) for i in order
                                     if i < 3]
        assert found['img'] is image
    assert 'deferred' not in DeferredColorJitter().transform(dict(img=image))


def test_lighting_is_mmcvs():
    """Oracle: mmcv's function adds as much to each channel after the same
    seed."""
    lighting = DeferredLighting(VALUES, VECTORS, 0.1)
    image = np.full((2, 2, 3), 100, np.uint8)
    for seed in range(10):
        np.random.seed(seed)
        wanted = mmcv.adjust_lighting(image, np.array(VALUES),
                                      np.array(VECTORS), 0.1)[0, 0] - 100
        np.random.seed(seed)
        (name, values), = lighting(dict(img=image))['deferred']
        assert name == 'lighting'
        assert values == pytest.approx(wanted.tolist(), abs=1e-4)


@pytest.mark.parametrize('arguments', [
    (0.5, ),
    (0.6, ['horizontal', 'vertical', 'diagonal']),
    ([0.2, 0.7], ['vertical', 'horizontal']),
])
def test_flips_are_mmcvs(arguments):
    """Oracle: the directions that mmcv's transform draws after the same seed;
    the image is not changed."""
    ours, theirs = DeferredFlip(*arguments), RandomFlip(*arguments)
    image = np.zeros((4, 5, 3), np.uint8)
    seen = set()
    for seed in range(40):
        np.random.seed(seed)
        wanted = theirs.transform(dict(img=image.copy()))
        np.random.seed(seed)
        found = ours.transform(dict(img=image))
        assert found['img'] is image and found['flip'] == wanted['flip']
        direction = wanted['flip_direction']
        assert found['flip_direction'] == direction
        assert found.get('deferred',
                         []) == ([(direction, ())] if direction else [])
        seen.add(direction)
    assert len(seen) > 1
    with pytest.raises(InputError, match='gt_bboxes.*labels only'):
        DeferredFlip(1.).transform(dict(img=image, gt_bboxes=np.zeros((1, 4))))


def test_packing():
    """Oracle: mmpretrain's own packing, and the steps in the order of the
    transforms; the image stays as it lies."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    given = dict(img=image, img_path='a', gt_label=1)
    results = dict(given)
    for transform in (DeferredFlip(1.), DeferredColorJitter(0.4),
                      DeferredLighting(VALUES, VECTORS), PackDeferred()):
        results = transform(results)
    sample = results['data_samples']
    assert [name for name, _ in sample.deferred
            ] == ['horizontal', 'brightness', 'lighting']
    assert sample.img_path == 'a' and sample.gt_label.item() == 1
    plain = PackDeferred()(dict(given))
    assert plain['data_samples'].deferred == []
    wanted = PackInputs()(dict(given))
    for found in (results, plain):
        np.testing.assert_array_equal(found['inputs'].permute(2, 0, 1),
                                      wanted['inputs'])
    grey = PackDeferred()(dict(img=image[..., 0]))
    np.testing.assert_array_equal(grey['inputs'], image[..., :1])


@pytest.mark.parametrize('arguments, words', [
    ((VALUES[:2], VECTORS), r'eigval=\[55'),
    ((VALUES, VECTORS[:2]), 'expected 3 numbers, and 3 times 3'),
    ((VALUES, VECTORS, -1.), 'alphastd=-1'),
])
def test_bad_values(arguments, words):
    """Oracle: the field, the value and what was expected."""
    with pytest.raises(InputError, match=words):
        DeferredLighting(*arguments)
