"""Bad folders of images."""

import gzip
import io
import json
import shutil
import struct
import zlib

import numpy as np
from PIL import Image

from pss.apis import load_config
from tests.stress.corrupt import cut, flipped
from tests.stress.training import LOADERS

from .cases import tool_case
from .fixtures import write_config
from .values import TEXTS, pick

NAMES = ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte',
         't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte')


def damaged_idx(data, name, rng):
    """The bytes of a bad IDX file, and what is bad about it."""
    header = 16 if 'images' in name else 8
    kind = pick(rng,
                ('cut', 'header', 'magic', 'count', 'count', 'sides', 'gzip',
                 'empty', 'text', 'more', 'labels', 'type', 'flipped'))
    if kind == 'cut':
        return cut(data, rng)
    if kind == 'header':
        return data[:int(rng.integers(header))], 'cut in its header'
    if kind == 'magic':
        return rng.bytes(4) + data[4:], 'another magic number'
    if kind == 'count':
        number = pick(rng, [0, 1, 12, 14, 2**31, 2**32 - 1])
        return data[:4] + struct.pack('>I', number) + data[8:], \
            f'a count of {number}'
    if kind == 'sides' and header == 16:
        sides = pick(rng, [(0, 28), (28, 0), (14, 56), (784, 1), (1, 784),
                           (2**31, 2**31), (29, 28)])
        return data[:8] + struct.pack('>II', *sides) + data[16:], \
            f'sides of {sides}'
    if kind == 'gzip':
        return gzip.compress(data), 'packed'
    if kind == 'labels' and header == 8:
        return data[:8] + bytes(pick(rng, [10, 255, 200])
                                for _ in data[8:]), 'labels out of range'
    if kind == 'type':
        return data[:2] + bytes([pick(rng, [0, 9, 11, 12, 13, 14, 255])]) + \
            data[3:], 'another type of values'
    if kind == 'flipped':
        return flipped(data[:header], rng)[0] + data[header:], \
            'bits flipped in its header'
    return {
        'empty': (b'', 'empty'),
        'text': (b'text\n' * 20, 'text')
    }.get(kind, (data + rng.bytes(100), 'longer'))


def bad_image(rng):
    """The bytes of an odd or bad image file, and what it is."""
    kind = pick(rng, ('empty', 'text', 'cut', 'cut', 'flipped', 'huge', 'cmyk',
                      '16 bit', 'one pixel', 'palette', 'alpha', 'grey', 'gif',
                      'bmp', 'webp', 'tiff', 'one bit', 'float', 'zip', 'png',
                      'header', 'long', 'progressive', 'exif', 'bomb'))
    pixels = rng.integers(0, 256, (40, 40, 4), np.uint8)
    rgb = Image.fromarray(pixels[..., :3])

    def saved(image, form, **options):
        file = io.BytesIO()
        image.save(file, form, **options)
        return file.getvalue()

    jpeg = saved(rgb, 'JPEG')
    if kind in ('cut', 'flipped'):
        data = pick(rng, [jpeg, saved(rgb, 'PNG')])
        return (cut if kind == 'cut' else flipped)(data, rng)
    if kind == 'huge':
        side = pick(rng, [65_535, 2**31 - 1, 2**20, 0])
        return png_header(side) + saved(rgb, 'PNG')[33:], \
            f'a PNG that says {side} pixels a side'
    exif = Image.Exif()
    exif[0x0112] = pick(rng, [0, 6, 8, 99])
    made = dict(
        empty=lambda: b'',
        text=lambda: b'not an image\n',
        cmyk=lambda: saved(rgb.convert('CMYK'), 'JPEG'),
        palette=lambda: saved(rgb.convert('P'), 'PNG'),
        alpha=lambda: saved(Image.fromarray(pixels), 'PNG'),
        grey=lambda: saved(rgb.convert('L'), 'JPEG'),
        gif=lambda: saved(rgb, 'GIF'),
        bmp=lambda: saved(rgb, 'BMP'),
        webp=lambda: saved(rgb, 'WEBP'),
        tiff=lambda: saved(rgb, 'TIFF'),
        float=lambda: saved(rgb.convert('F'), 'TIFF'),
        zip=lambda: b'PK\x03\x04' + bytes(50),
        png=lambda: saved(rgb, 'PNG'),
        header=lambda: jpeg[:2] + b'\xff\xff' + jpeg[4:],
        progressive=lambda: saved(rgb, 'JPEG', progressive=True),
        exif=lambda: saved(rgb, 'JPEG', exif=exif.tobytes()),
        long=lambda: saved(rgb.resize((3000, 1)), 'JPEG'),
        bomb=lambda: saved(Image.new('L', (12_000, 12_000)), 'PNG'))
    made['16 bit'] = lambda: saved(
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 200), 'PNG')
    made['one pixel'] = lambda: saved(rgb.resize((1, 1)), 'JPEG')
    made['one bit'] = lambda: saved(rgb.convert('1'), 'PNG')
    return made[kind](), f'an image: {kind}'


def png_header(side):
    """The signature and header of a PNG with sides of that many pixels."""
    body = b'IHDR' + struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + body + \
        struct.pack('>I', zlib.crc32(body))


def check_boxes(folder):
    """Asserts that every box has a category that exists."""
    for path in (folder / 'annotations').glob('*.json'):
        found = json.loads(path.read_text())
        known = {category['id'] for category in found['categories']}
        used = {box['category_id'] for box in found['annotations']}
        assert used <= known, f'{path.name}: categories {used - known}'


class Data:
    """Bad Fashion-MNIST files and ImageNet folders, trained and tested on."""

    name, share = 'data', 12

    def __init__(self, fixtures) -> None:
        self.fixtures = fixtures
        self.config = load_config(fixtures.config).to_dict()

    def case(self, rng, place):
        if rng.random() < 0.5:
            return self.fashion_mnist(rng, place)
        return self.imagenet(rng, place)

    def fashion_mnist(self, rng, place):
        """One of the four files is bad."""
        folder = place.inputs / 'images'
        shutil.copytree(self.fixtures.images, folder)
        name = pick(rng, NAMES)
        path = folder / name
        kind = rng.random()
        if kind < 0.1:
            path.unlink()
            what = f'{name} is missing'
        elif kind < 0.15:
            path.unlink()
            path.mkdir()
            what = f'{name} is a folder'
        else:
            data, what = damaged_idx(path.read_bytes(), name, rng)
            what = f'{name}: {what}'
            path.write_bytes(data)
            if kind > 0.85:
                path.rename(path.with_name(f'{name}.gz'))
                what += ', as .gz'
        tool = pick(rng, ('train', 'train', 'test', 'detection', 'copy'))
        if tool == 'detection':
            return tool_case(
                what,
                'fashion_mnist_detection',
                place,
                '--source',
                folder,
                '--out',
                place.out / 'd',
                '--num',
                2,
                1,
                1,
                '--size',
                48,
                check=lambda: check_boxes(place.out / 'd'))
        if tool == 'copy':
            return tool_case(what, 'fashion_mnist', place, '--source', folder,
                             '--out', place.out / 'f')
        return self.run(tool, what, place, self.with_root(folder))

    def with_root(self, folder):
        """The config with another folder of images."""
        return json.loads(
            json.dumps(self.config).replace(
                str(self.fixtures.images), str(folder)))

    def imagenet(self, rng, place):
        """An image, or a list of images, is bad."""
        folder = place.inputs / 'imagenet'
        shutil.copytree(self.fixtures.imagenet, folder)
        config = self.imagenet_config(folder)
        split = pick(rng, ('train', 'train', 'val'))
        meta = folder / 'meta' / f'{split}.txt'
        lines = meta.read_text().splitlines()
        i = int(rng.integers(len(lines)))
        if rng.random() < 0.6:
            data, what = bad_image(rng)
            (folder / split / lines[i].split()[0]).write_bytes(data)
            what = f'{split} image {i}: {what}'
        else:
            what = self.bad_meta(rng, meta, lines, i, folder / split)
        return self.run(
            pick(rng, ('train', 'train', 'test')), what, place, config)

    @staticmethod
    def bad_meta(rng, meta, lines, i, folder):
        """Makes a list of images bad, and says how."""
        name, label = lines[i].split()
        kind = pick(rng, ('line', 'line', 'line', 'missing', 'empty', 'binary',
                          'utf-16', 'folder', 'no images', 'image'))
        if kind == 'line':
            lines[i] = pick(rng, [
                name, label, '', f'{name} {label} 1', f'{name} x', f'{name} -1',
                f'{name} 10', f'{name} 1e9', f'{name} 1.5',
                f'absent.JPEG {label}', f'{name}{label}', f'{name}\t{label}',
                f'../../../user/notes.txt {label}', f'. {label}', f'/ {label}',
                f'{name} {"9" * 30}', f'{name} ٣', f'{name} nan',
                f'/dev/full {label}', *(f'{t} {label}' for t in TEXTS)
            ])
            meta.write_text('\n'.join(lines), errors='surrogatepass')
            return f'{meta.name}: line {i} is {ascii(lines[i])[:60]}'
        if kind == 'folder':
            meta.unlink()
            meta.mkdir()
        elif kind == 'missing':
            meta.unlink()
        elif kind == 'no images':
            shutil.rmtree(folder)
            folder.mkdir()
        elif kind == 'image':
            (folder / name).unlink()
            (folder / name).mkdir()
        else:
            meta.write_bytes(
                dict(empty=b'', binary=rng.bytes(300))[kind] if kind !=
                'utf-16' else '\n'.join(lines).encode('utf-16'))
        return f'{meta.name}: {kind}'

    def imagenet_config(self, folder):
        """The config with ImageNet's layout in that folder."""
        config = json.loads(json.dumps(self.config))
        config['train_dataloader']['batch_size'] = 6
        for name in LOADERS:
            loader = config
            for part in name.split('.'):
                loader = (loader or {}).get(part)
            if loader is None:  # this config does not validate
                continue
            training = name in ('train_dataloader',
                                'test_cfg.calibration_dataloader')
            crop = dict(type='RandomResizedCrop', scale=28) if training else \
                dict(type='ResizeEdge', scale=28, edge='short')
            split = 'val' if name == 'test_dataloader' else 'train'
            loader['dataset'] = dict(
                type='ImageNet',
                data_root=str(folder),
                split=split,
                ann_file=f'meta/{split}.txt',
                pipeline=[
                    dict(type='LoadImageFromFile'), crop,
                    dict(type='CenterCrop', crop_size=28),
                    dict(type='PackInputs')
                ])
        return config

    def run(self, tool, what, place, config):
        """A training or a test with a config."""
        path = place.inputs / 'config.py'
        write_config(config, path)
        work = ['--work-dir', place.out / 'work']
        checkpoint = [self.fixtures.checkpoint] if tool == 'test' else []
        return tool_case(what, tool, place, path, *checkpoint, *work)
