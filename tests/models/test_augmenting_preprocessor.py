"""Flips and changes of colours, for batches."""

import mmcv
import numpy as np
import pytest
import torch
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.structures import DataSample

from pss.errors import InputError
from pss.models import AugmentingPreprocessor
from pss.models.augmenting_preprocessor import augment

MMCV = dict(
    brightness=mmcv.adjust_brightness,
    contrast=mmcv.adjust_contrast,
    saturation=mmcv.adjust_color)
NORMALISATION = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)


def images(num, seed=0):
    """BGR images, ``(num, 37, 41, 3)``, the last of them of extremes."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 256, (num, 37, 41, 3), np.uint8)
    found[-1] = np.where(found[-1] < 128, 0, 255)
    return found


def tensor(array):
    """As pipelines pack them: ``(N, 3, H, W)``."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()


@pytest.mark.parametrize('name', MMCV)
def test_steps_are_pillows(name):
    """Oracle: mmcv's function with its Pillow backend, image by image; all
    bytes are equal."""
    batch = images(24)
    factors = [0., 0.3, 0.6, 0.97, 1., 1.2, 1.4, 3.] * 3
    found = augment(
        tensor(batch).flip(1).float(), [[(name, (f, ))] for f in factors])
    for image, factor, one in zip(batch, factors, found):
        wanted = MMCV[name](image, factor, backend='pillow')
        np.testing.assert_array_equal(
            one.flip(0).permute(1, 2, 0).numpy(), wanted)


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_flips_are_mmcvs(direction):
    """Oracle: mmcv's function, image by image; others stay as they are."""
    batch = images(4)
    steps = [[(direction, ())], [], [(direction, ()), ('brightness', (0.5, ))],
             []]
    found = augment(tensor(batch).float(), steps)
    wanted = batch.copy()
    wanted[0] = mmcv.imflip(batch[0], direction)
    wanted[2] = mmcv.adjust_brightness(
        mmcv.imflip(batch[2], direction), 0.5, backend='pillow')
    np.testing.assert_array_equal(found.permute(0, 2, 3, 1).numpy(), wanted)


def test_each_image_has_its_own_steps():
    """Oracle: mmcv's functions one after the other, in each image's order, and
    what lighting adds; images without steps are as they were."""
    batch = images(5)
    steps = [
        [('contrast', (1.3, )), ('brightness', (0.7, ))],
        [],
        [('brightness', (1.4, )), ('saturation', (0.6, )),
         ('lighting', (5.25, -3.5, 0.5))],
        [('lighting', (-40., 60., 0.))],
        [('saturation', (1.4, )), ('brightness', (0.8, )),
         ('contrast', (0.6, )), ('lighting', (1., 2., 3.))],
    ]
    given = tensor(batch).flip(1).float()
    before = given.clone()
    found = augment(given, steps)
    assert torch.equal(given, before)
    for image, mine, one in zip(batch, steps, found):
        shift = np.zeros(3)
        for name, values in mine:
            if name == 'lighting':
                shift = np.array(values)
            else:
                image = MMCV[name](image, *values, backend='pillow')
        np.testing.assert_allclose(
            one.permute(1, 2, 0), image[..., ::-1] + shift, atol=1e-4)


@pytest.mark.parametrize('to_rgb', [True, False])
def test_normalisation_follows(to_rgb):
    """Oracle: mmpretrain's preprocessor on images that were changed before;
    training and tests turn channels alike."""
    options = dict(NORMALISATION, to_rgb=to_rgb)
    ours = AugmentingPreprocessor(**options)
    theirs = ClsDataPreprocessor(**options)
    batch = images(3)
    samples = [DataSample(metainfo=dict(a=1)).set_gt_label(i) for i in range(3)]
    plain = dict(inputs=tensor(batch), data_samples=samples)
    for training in (False, True):
        assert torch.equal(
            ours(plain, training)['inputs'],
            theirs(plain, training)['inputs'])
    wanted = theirs(plain)['inputs']
    shift = torch.tensor([10., 20., 30.])[:, None, None] / theirs.std
    for steps in ([], [('lighting', (10., 20., 30.))]):
        # packed by PackDeferred, with channels last
        for sample in samples:
            sample.set_metainfo(dict(deferred=[]))
        samples[1].set_metainfo(dict(deferred=steps))
        expected = wanted.clone()
        expected[1] += shift if steps else 0
        for inputs in (torch.from_numpy(batch), list(torch.from_numpy(batch))):
            found = ours(dict(plain, inputs=inputs), True)
            torch.testing.assert_close(found['inputs'], expected)
            assert [int(s.gt_label) for s in found['data_samples']] == [0, 1, 2]
    # together with an image that PackInputs has packed
    mixed = [*torch.from_numpy(batch[:2]), plain['inputs'][2]]
    samples[2] = DataSample().set_gt_label(2)
    found = ours(dict(inputs=mixed, data_samples=samples), True)
    torch.testing.assert_close(found['inputs'], expected)


def test_bad_images():
    """Oracle: the shapes, and what was expected."""
    ours = AugmentingPreprocessor(**NORMALISATION)
    samples = [
        DataSample(metainfo=dict(deferred=[('brightness', (1., ))]))
        for _ in range(2)
    ]
    for inputs, words in ((torch.zeros(2, 4, 4, 1), 'expected three channels'),
                          ([torch.zeros(4, 4, 3),
                            torch.zeros(4, 5, 3)], 'expected one size')):
        with pytest.raises(InputError, match=words):
            ours(dict(inputs=inputs, data_samples=samples), True)


@pytest.mark.gpu
def test_on_a_gpu():
    """Oracle: the CPU, to a thousandth of a standard deviation."""
    batch = images(6)
    steps = [[(name, (0.7, ))] for name in MMCV]
    steps += [[('lighting', (10., 20., 30.))], [], [('horizontal', ())]]
    samples = [
        DataSample(metainfo=dict(deferred=step)).set_gt_label(1)
        for step in steps
    ]
    found = [
        AugmentingPreprocessor(**NORMALISATION).to(device)(dict(
            inputs=torch.from_numpy(batch),
            data_samples=samples), True)['inputs'].cpu()
        for device in ('cpu', 'cuda')
    ]
    torch.testing.assert_close(*found, atol=1e-3, rtol=0)
