"""The quick check of images."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from pss.datasets import image_check
from pss.datasets.image_check import (
    ALPHA,
    CMYK,
    DEEP,
    GREY,
    TINY,
    check_image,
    check_images,
)

RNG = np.random.default_rng(0)


def picture(mode='RGB', width=40, height=30):
    pixels = RNG.integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(format, mode='RGB', **options):
    file = io.BytesIO()
    size = {k: options.pop(k) for k in ('width', 'height') if k in options}
    picture(mode, **size).save(file, format, **options)
    return file.getvalue()


def deep(ending, channels):
    pixels = RNG.integers(0, 65535, (30, 40, channels), dtype=np.uint16)
    return cv2.imencode(ending, pixels)[1].tobytes()


@pytest.mark.parametrize('name, content, notes', [
    ('a.jpg', encoded('JPEG'), ()),
    ('a.png', encoded('PNG'), ()),
    ('a.bmp', encoded('BMP'), ()),
    ('a.ppm', encoded('PPM'), ()),
    ('a.webp', encoded('WEBP'), ()),
    ('a.tif', encoded('TIFF'), ()),
    ('grey.jpg', encoded('JPEG', 'L'), (GREY, )),
    ('bits.png', encoded('PNG', '1'), (GREY, )),
    ('alpha.png', encoded('PNG', 'RGBA'), (ALPHA, )),
    ('grey_alpha.png', encoded('PNG', 'LA'), (GREY, ALPHA)),
    ('palette.png', encoded('PNG', 'P', transparency=0), (ALPHA, )),
    ('cmyk.jpg', encoded('JPEG', 'CMYK'), (CMYK, )),
    ('deep.png', deep('.png', 3), (DEEP, )),
    ('deep_grey.png', deep('.png', 1), (GREY, DEEP)),
    ('deep.tif', deep('.tif', 3), ()),
    ('tiny.png', encoded('PNG', width=1, height=1), (TINY, )),
    ('jpeg.png', encoded('JPEG'), ()),
    ('more.png', encoded('PNG') + b'bytes after the image', ()),
    ('more.jpg', encoded('JPEG') + b'bytes after the image', ()),
])
@pytest.mark.parametrize('decode', [False, True])
def test_images_that_can_be_used(tmp_path, name, content, notes, decode):
    """Oracle: the loader of mmpretrain's pipelines, which makes three channels
    of 8 bits of them; the notes by how the image was made."""
    from mmpretrain.datasets import LoadImageFromFile
    path = tmp_path / name
    path.write_bytes(content)
    loaded = LoadImageFromFile()(dict(img_path=str(path)))['img']
    assert loaded.dtype == np.uint8 and loaded.shape[2:] == (3, )
    facts = check_image(path, decode)
    assert (facts.problem, facts.notes) == ('', notes)
    assert facts.size == loaded.shape[1::-1]


def flipped(content):
    """The content with one wrong bit in its middle."""
    content = bytearray(content)
    content[len(content) // 2] ^= 1
    return bytes(content)


@pytest.mark.parametrize('name, content, words', [
    ('text.png', b'no image\n', 'is no image'),
    ('empty.jpg', b'', 'is empty'),
    ('cut.jpg', encoded('JPEG')[:-100], 'is cut off'),
    ('cut_jpeg.png', encoded('JPEG')[:-100], 'is cut off'),
    ('cut.png', encoded('PNG')[:-100], 'cannot be read'),
    ('end.png', encoded('PNG')[:-12], 'cannot be read'),
    ('flipped.png', flipped(encoded('PNG')), 'cannot be read'),
    ('cut.bmp', encoded('BMP')[:-100], 'cannot be read'),
    ('cut.webp', encoded('WEBP')[:-100], 'cannot be read'),
    ('gif.png', encoded('GIF', 'P'), 'is a GIF file; expected JPEG, PNG'),
    ('thin.png', encoded('PNG', width=1000,
                         height=2), 'has 1000 x 2 pixels; expected one side'),
])
def test_images_that_cannot_be_used(tmp_path, name, content, words):
    """Oracle: what was done to the file; Pillow, which refuses it, or the
    formats and sizes that pipelines cannot take."""
    path = tmp_path / name
    path.write_bytes(content)
    assert words in check_image(path).problem


def test_numbers_that_are_no_colours(tmp_path):
    """Oracle: the reason; a TIFF file of floating point numbers."""
    path = tmp_path / 'a.tif'
    Image.fromarray(np.ones((20, 20), np.float32)).save(path)
    assert 'has 32 bits in a channel' in check_image(path).problem


def test_too_many_pixels(tmp_path, monkeypatch):
    """Oracle: Pillow's limit, of which twice is refused."""
    path = tmp_path / 'a.png'
    path.write_bytes(encoded('PNG'))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 500)
    assert 'exceeds limit' in check_image(path).problem
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    assert check_image(path).problem == ''


def test_damage_that_only_decoding_finds(tmp_path, monkeypatch):
    """Oracle: OpenCV, which loads images in training."""
    path = tmp_path / 'a.jpg'
    path.write_bytes(encoded('JPEG'))
    monkeypatch.setattr(cv2, 'imread', lambda *args: None)
    assert check_image(path).problem == ''
    assert check_image(path, decode=True).problem == 'cannot be decoded'


def test_many_images(tmp_path, monkeypatch):
    """Oracle: each image by itself; progress after every image if no time
    needs to pass."""
    monkeypatch.setattr(image_check, '_SECONDS', -1)
    monkeypatch.setattr(image_check, '_AT_ONCE', 2)
    contents = dict(
        a=encoded('PNG', 'L'), b=b'', c=encoded('PNG', width=9), d=b'x',
        e=encoded('PNG', 'L', height=20))  # yapf: disable
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    seen = []
    found = check_images(tmp_path, [*contents, 'none'], seen.append)
    assert set(found.problems) == {'b', 'd', 'none'}
    assert 'No such file' in found.problems['none']
    assert found.notes == {GREY: ['a', 'e']}
    assert found.short_sides.tolist() == [30, 9, 20]
    assert seen == [1, 2, 3, 4, 5, 6]
