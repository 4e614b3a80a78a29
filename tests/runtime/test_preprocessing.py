"""The runtime's preprocessing against the supernet's own."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from pss.deploy.device_preprocessing import device_preprocessing
from pss.deploy.exporter import build_supernet
from pss.deploy.preprocessing import Preprocessing as WithPyTorch
from pss.errors import InputError
from pss.models import SupernetClassifier
from pss.runtime.preprocessing import Preprocessing

from ..building import random_bank

SIDE = 24


@pytest.fixture(scope='module')
def both():
    """A bank, and its supernet."""
    _, bank = random_bank(0)
    return bank, build_supernet(bank, SupernetClassifier)


def pipelines():
    """Every step with every argument that a device may have."""
    methods = [('cv2', 'bilinear'),
               *(('pillow', name) for name in ('nearest', 'bilinear', 'bicubic',
                                               'lanczos', 'box', 'hamming'))]
    for backend, interpolation in methods:
        step = dict(backend=backend, interpolation=interpolation)
        yield [dict(type='Resize', scale=(SIDE, SIDE), **step)]
    for edge, backend in product(('short', 'long', 'width', 'height'),
                                 ('cv2', 'pillow')):
        yield [
            dict(type='ResizeEdge', scale=31, edge=edge, backend=backend),
            dict(type='CenterCrop', crop_size=(SIDE, 20)),
            dict(type='Resize', scale=SIDE, backend=backend)
        ]
    yield [
        dict(type='Resize', scale=(40, 29), keep_ratio=True),
        dict(type='CenterCrop', crop_size=19),
        dict(type='Resize', scale=(SIDE, SIDE)),
    ]
    yield [
        dict(type='ResizeEdge', scale=SIDE),
        dict(type='CenterCrop', crop_size=SIDE)
    ]


@pytest.mark.parametrize('steps', list(pipelines()), ids=str)
def test_steps_equal_mmpretrains(both, steps):
    """Oracle: mmpretrain's transforms and its data preprocessor. Pillow's
    results are equal; OpenCV's too, up to a step of one byte in few places,
    since its versions differ."""
    bank, model = both
    bank = replace(
        bank,
        pipeline=[
            dict(type='LoadImageFromFile'), *steps,
            dict(type='PackInputs')
        ])
    ours = Preprocessing(device_preprocessing(bank), bank.input_shape)
    theirs = WithPyTorch(bank, model)
    rng = np.random.default_rng(0)
    of_pillow = all(
        step.get('backend') == 'pillow' for step in steps
        if step['type'] != 'CenterCrop')
    step_of_byte = 1 / torch.tensor(bank.model['data_preprocessor']['std'])
    for height, width in ((24, 24), (57, 33), (21, 90), (200, 25), (3, 5)):
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        try:
            wanted = theirs.batch(theirs.load(image)).numpy()
        except InputError as error:
            with pytest.raises(InputError, match='become'):
                ours(image)
            assert 'become' in str(error)
            continue
        found = ours(image)
        assert found.dtype == np.float32 and found.shape == wanted.shape
        wrong = np.abs(found - wanted)
        if of_pillow:
            assert wrong.max() < 1e-5
        else:
            assert wrong.max() < step_of_byte.max().item() + 1e-5
            assert (wrong > 1e-5).mean() < 0.01


def test_grey_networks_and_arrays(both):
    """Oracle: mmpretrain's, for images with and without an axis for the one
    channel."""
    bank, model = both
    grey = replace(
        bank,
        input_shape=(1, SIDE, SIDE),
        model=dict(bank.model, data_preprocessor=dict(mean=[3.], std=[2.])))
    ours = Preprocessing(device_preprocessing(grey), grey.input_shape)
    image = np.random.default_rng(0).integers(0, 256, (30, 41), np.uint8)
    steps = WithPyTorch(grey, model).load(image)[0].numpy().astype(np.float32)
    for given in (image, image[..., None]):
        np.testing.assert_allclose(ours(given)[0], (steps - 3) / 2, rtol=1e-6)


@pytest.mark.parametrize('image, words', [
    (None, 'NoneType is not an image'),
    (3, 'int is not an image'),
    (np.zeros(5), r'float64 of shape \(5,\) is not an image'),
    (np.zeros((30, 30, 2), np.uint8), r'shape \(30, 30, 2\).*expected 3'),
    (np.zeros((0, 30, 3), np.uint8), r'shape \(0, 30, 3\)'),
    (np.full((30, 30), 'a'), 'is not an image'),
    (np.full((30, 30, 3), np.nan), 'values from nan to nan; expected 0 to 255'),
    (np.full((30, 30, 3), 300.), 'values from 300 to 300'),
    (np.zeros((1, 300_000, 3), np.uint8), 'become 28 x 8400000'),
])
def test_bad_images(both, image, words):
    """Oracle: the message names the image, what it is and what was
    expected."""
    bank, _ = both
    ours = Preprocessing(device_preprocessing(bank), bank.input_shape)
    for given, name in ((image, 'images'), ([image], r'images\[0\]')):
        with pytest.raises(InputError, match=f'{name}: .*{words}'):
            ours(given)


def test_bad_files(both, tmp_path):
    """Oracle: the message names the file."""
    bank, _ = both
    ours = Preprocessing(device_preprocessing(bank), bank.input_shape)
    (tmp_path / 'empty.png').write_bytes(b'')
    (tmp_path / 'text.png').write_text('no image')
    from PIL import Image
    Image.new('RGB', (90, 90), 'red').save(tmp_path / 'whole.png')
    content = (tmp_path / 'whole.png').read_bytes()
    (tmp_path / 'cut.png').write_bytes(content[:len(content) // 2])
    for name in ('empty.png', 'text.png', 'cut.png', 'missing.png', '.'):
        with pytest.raises(InputError, match=f'{name}: cannot be read'):
            ours(str(tmp_path / name))
