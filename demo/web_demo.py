"""Serves a page that runs a device bank in the browser, on this machine only.

The page classifies labelled test images, one's own image files and drawings,
with a subnet for a budget, or while it follows a latency. Everything comes from
here: the page in web/, onnxruntime-web, the device bank and the test images.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Dict, List, NamedTuple, Union

import mmcv
import numpy as np
from adaptive_demo import test_images

from pss.cli import check_integers, run
from pss.errors import InputError
from pss.runtime import DeviceBank, read_device_bank

WEB = Path(__file__).parents[1] / 'web'
RUNTIME = WEB / 'node_modules' / 'onnxruntime-web' / 'dist'
RUNTIME_FILES = ('ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs',
                 'ort-wasm-simd-threaded.wasm')
TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.mjs': 'text/javascript; charset=utf-8',
    '.json': 'application/json',
    '.wasm': 'application/wasm'
}
HEADERS = {
    'Cache-Control':
    'no-store',
    'Content-Security-Policy':
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    # without other sites in its process, the page has a fine clock
    'Cross-Origin-Opener-Policy':
    'same-origin',
    'Cross-Origin-Embedder-Policy':
    'require-corp',
    'Cross-Origin-Resource-Policy':
    'same-origin',
    'X-Content-Type-Options':
    'nosniff'
}
LARGEST = 1 << 26  # bytes of all test images together

# what has a path: a file that is read when it is asked for, or its content
Content = Union[Path, bytes]


class Images(NamedTuple):
    """Test images: a height, a width and channels (BGR or grey) of each, their
    bytes one after the other, and their labels."""
    shapes: List[List[int]]
    pixels: bytes
    labels: List[int]


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('device_bank', help="the device bank's folder")
    parser.add_argument(
        '--config',
        default='configs/pss_mbv2_fashion_mnist.py',
        help='config whose test images are used')
    parser.add_argument('--port', type=int, default=8000)
    parser.add_argument(
        '--images',
        type=int,
        default=2000,
        help='at most so many test images, drawn at random')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=8,
        help='images in a request of the stream')
    return parser.parse_args()


def main():
    args = parse_args()
    check_integers(args, port=(0, 65535), images=1, batch_size=1)
    bank = read_device_bank(args.device_bank)
    arrays, labels = test_images(args.config)
    images = drawn(arrays, labels, args.images)
    server = Server(bank, images, args.batch_size, args.port)
    print(
        f'http://127.0.0.1:{server.server_port}/ shows {args.device_bank} '
        f'with {len(images.labels)} test images; Ctrl-C ends it',
        flush=True)
    with server:
        server.serve_forever()


def drawn(images, labels, num):
    """Some of the images, always the same, as far as they fit into memory.

    Args:
        images: arrays, or paths of files.
        labels: their classes.
        num: the most to draw.
    """
    shapes: List[List[int]] = []
    parts: List[bytes] = []
    kept: List[int] = []
    size = 0
    for i in np.random.default_rng(0).permutation(len(images))[:num]:
        image = images[i]
        pixels = image if isinstance(image, np.ndarray) else mmcv.imread(image)
        size += pixels.nbytes
        if size > LARGEST and kept:
            break
        shapes.append([*pixels.shape, 1][:3])
        parts.append(pixels.astype(np.uint8).tobytes())
        kept.append(int(labels[i]))
    return Images(shapes, b''.join(parts), kept)


class Server(ThreadingHTTPServer):
    """Serves the page on the loopback address, and nothing else.

    Args:
        bank: the device bank to show.
        images: the test images.
        batch_size: images in a request of the stream.
        port: 0 for any that is free.

    Raises:
        InputError: if onnxruntime-web is not installed, the port is taken, or
            the device bank does not classify such images.
    """

    daemon_threads = True

    def __init__(self,
                 bank: DeviceBank,
                 images: Images,
                 batch_size: int = 8,
                 port: int = 0) -> None:
        if bank.task != 'classification':
            raise InputError(f'{bank.folder}: task={bank.task!r}: expected a '
                             'classifier')
        if bank.classes and max(images.labels) >= len(bank.classes):
            raise InputError(f'--config: its test images have the class '
                             f'{max(images.labels)}; {bank.folder} has '
                             f'{len(bank.classes)} classes')
        self.contents = page_files(bank)
        self.contents['/test_images.bin'] = images.pixels
        self.contents['/test_images.json'] = json.dumps(
            dict(
                shapes=images.shapes,
                labels=images.labels,
                batch_size=batch_size)).encode()
        try:
            super().__init__(('127.0.0.1', port), Handler)
        except OSError as error:
            raise InputError(f'--port {port}: {error.strerror}; 0 takes any '
                             'that is free') from None


def page_files(bank: DeviceBank) -> Dict[str, Content]:
    """The files that are served, by their path on the server; nothing else has
    a path."""
    for name in RUNTIME_FILES:
        if not (RUNTIME / name).is_file():
            raise InputError(f'{RUNTIME / name}: no such file; `npm ci '
                             '--prefix web` installs onnxruntime-web')
    files = {'bank.json', 'weights.bin', *(kept.file for kept in bank.kept)}
    return {
        '/': WEB / 'index.html',
        '/style.css': WEB / 'style.css',
        **{
            f'/src/{path.name}': path
            for path in (WEB / 'src').glob('*.js')
        },
        **{
            f'/ort/{name}': RUNTIME / name
            for name in RUNTIME_FILES
        },
        **{
            f'/device_bank/{name}': bank.folder / name
            for name in files
        }
    }


class Handler(BaseHTTPRequestHandler):
    """Answers requests for the server's contents."""

    server: Server

    def do_GET(self) -> None:
        """Sends a content."""
        # a page of another site could reach this address by a name of its own
        names = [
            f'{name}:{self.server.server_port}'
            for name in ('127.0.0.1', 'localhost')
        ]
        if self.headers.get('Host') not in names:
            self.send_error(403)
            return
        path = self.path.partition('?')[0]
        content = self.server.contents.get(path)
        if isinstance(content, Path):
            path = content.name
            try:
                content = content.read_bytes()
            except OSError:
                content = None
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        kind = TYPES.get(Path(path).suffix, 'application/octet-stream')
        for name, value in (('Content-Type', kind), ('Content-Length',
                                                     str(len(content))),
                            *HEADERS.items()):
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        """Prints nothing about requests."""


if __name__ == '__main__':
    run(main)
