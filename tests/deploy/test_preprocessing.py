import dataclasses
import struct
import zlib

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS

from pss.deploy import build_supernet
from pss.deploy.preprocessing import Preprocessing
from pss.errors import InputError
from pss.models import SupernetClassifier

from ..building import random_bank


@pytest.fixture(scope='module')
def contents():
    """A bank of two subnets."""
    return random_bank(0)[1]


@pytest.fixture(scope='module')
def preprocessing(contents):
    """Its preprocessing: short edge 28, then the 24 pixels in the middle."""
    return Preprocessing(contents, build_supernet(contents, SupernetClassifier))


def test_normalised_batches(preprocessing):
    """Oracle: by hand: BGR becomes RGB, minus the mean, divided by the standard
    deviation; an image of one colour keeps it when it is resized."""
    image = np.empty((40, 30, 3), np.uint8)
    image[:] = 10, 20, 30
    batch = preprocessing.batch(preprocessing.load([image, image]))
    assert batch.shape == (2, 3, 24, 24)
    for channel, wanted in enumerate(
        ((30 - 120) / 60, (20 - 110) / 50, (10 - 100) / 40)):
        np.testing.assert_allclose(batch[:, channel], wanted, rtol=1e-6)


def test_grey_images_of_one_channel(contents, tmp_path):
    """Oracle: mmpretrain's own pipeline on the same file, Pillow's resizing
    included; an array of the same pixels."""
    steps = [
        dict(type='LoadImageFromFile', color_type='grayscale'),
        dict(type='ResizeEdge', scale=28, edge='short', backend='pillow'),
        dict(type='CenterCrop', crop_size=24),
        dict(type='PackInputs')
    ]
    grey = dataclasses.replace(
        contents, pipeline=steps, input_shape=(1, 24, 24))
    model = build_supernet(contents, SupernetClassifier)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8)
    path = str(tmp_path / 'grey.png')
    cv2.imwrite(path, pixels)
    theirs = Compose([TRANSFORMS.build(step) for step in steps])
    expected = theirs(dict(img_path=path))['inputs']
    for image in (path, pixels, pixels[..., None]):
        [found] = Preprocessing(grey, model).load(image)
        assert found.shape == (1, 24, 24) and found.equal(expected)


def test_sizes_that_steps_would_make(preprocessing):
    """Oracle: both sizes in the message; a strip would become millions of
    pixels long."""
    strip = np.zeros((1, 10_000_000, 3), np.uint8)
    with pytest.raises(InputError, match='1 x 10000000 pixels.*280000000'):
        preprocessing.load(strip)


def png(path, width, height):
    """A PNG file with a header and no pixels."""

    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack(
            '>I', zlib.crc32(name + data))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) +
                     chunk(b'IDAT', b'') + chunk(b'IEND', b''))
    return str(path)


@pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')
@pytest.mark.parametrize('width, height', [(12_000, 12_000), (30_000, 30_000)])
def test_image_files_of_too_many_pixels(preprocessing, tmp_path, monkeypatch,
                                        width, height):
    """Oracle: the size in the file's header; nothing is decoded. Pillow itself
    warns about the first file, and refuses to open the second."""
    monkeypatch.setattr('pss.deploy.preprocessing.imfrombytes', None)
    with pytest.raises(InputError, match='a.png: .*expected at most 134217728'):
        preprocessing.load(png(tmp_path / 'a.png', width, height))


@pytest.mark.parametrize('channels', [1, 3])
def test_grey_files(contents, tmp_path, channels):
    """Oracle: the grey value, in every channel of the network's input."""
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((24, 24), 7, np.uint8))
    bank = dataclasses.replace(
        contents,
        input_shape=(channels, 24, 24),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='PackInputs')])
    model = build_supernet(contents, SupernetClassifier)
    [found] = Preprocessing(bank, model).load(str(tmp_path / 'a.png'))
    assert found.shape == (channels, 24, 24) and (found == 7).all()


def test_steps_that_cannot_be_built(contents):
    """Oracle: one error; a type that is not registered is not imported."""
    bad = dataclasses.replace(
        contents, pipeline=[dict(type='os.system', command='true')])
    with pytest.raises(InputError, match='pipeline cannot be built'):
        Preprocessing(bad, build_supernet(contents, SupernetClassifier))
