"""Puts Fashion-MNIST where the configs look for it.

The four files come from Debian's package dataset-fashion-mnist, which is
installed if possible, or else are downloaded.
"""

import argparse
import gzip
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('data/fashion_mnist'),
        help='folder for the four files (default: %(default)s)')
    parser.add_argument(
        '--source',
        type=Path,
        default=None,
        help='folder that has them already, compressed or not')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.cli import run
from pss.errors import InputError
from pss.outputs import check_out_folder

DEBIAN = Path('/usr/share/datasets/fashion-mnist')
PACKAGE = 'dataset-fashion-mnist'
URL = 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/'
# file, magic number of the IDX format, images, bytes
FILES = (
    ('train-images-idx3-ubyte', 2051, 60_000, 16 + 60_000 * 28 * 28),
    ('train-labels-idx1-ubyte', 2049, 60_000, 8 + 60_000),
    ('t10k-images-idx3-ubyte', 2051, 10_000, 16 + 10_000 * 28 * 28),
    ('t10k-labels-idx1-ubyte', 2049, 10_000, 8 + 10_000),
)


def is_good(name: str, data: bytes) -> bool:
    """Whether the data are those of the complete file ``name``."""
    _, magic, images, size = next(f for f in FILES if f[0] == name)
    return (len(data) == size and int.from_bytes(data[:4], 'big') == magic
            and int.from_bytes(data[4:8], 'big') == images)


def read(path: Path) -> bytes:
    """The bytes of a file, uncompressed; empty if it cannot be read."""
    for candidate, opener in ((path, open), (path.with_name(path.name + '.gz'),
                                             gzip.open)):
        try:
            with opener(candidate, 'rb') as file:
                return file.read()
        except (OSError, EOFError):
            continue
    return b''


def install_package() -> bool:
    """Installs Debian's package if this is Debian and the user is root; returns
    whether that succeeded."""
    if not shutil.which('apt-get') or os.geteuid() != 0:
        return False
    print(f'Installing the package {PACKAGE} ...', flush=True)
    for command in (['install', '-y', '-q',
                     PACKAGE], ['update',
                                '-q'], ['install', '-y', '-q', PACKAGE]):
        done = subprocess.run(['apt-get', *command],
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        if command[0] == 'install' and done.returncode == 0:
            return True
    return False


def download(name: str) -> bytes:
    """Downloads a file; empty if that fails."""
    print(f'Downloading {name} ...', flush=True)
    try:
        with urllib.request.urlopen(f'{URL}{name}.gz', timeout=60) as reply:
            return gzip.decompress(reply.read())
    except (OSError, EOFError, gzip.BadGzipFile):
        return b''


def main(args):
    check_out_folder(args.out)
    if args.source is not None and not args.source.is_dir():
        raise InputError(f'--source={args.source}: no such folder')

    missing = [f[0] for f in FILES if not is_good(f[0], read(args.out / f[0]))]
    if not missing:
        print(f'Fashion-MNIST is in {args.out}')
        return
    source = args.source or DEBIAN
    if args.source is None and not source.is_dir():
        install_package()
    for name in missing:
        data = read(source / name)
        if not is_good(name, data) and args.source is None:
            data = download(name)
        if not is_good(name, data):
            raise InputError(
                f'{name} is not in {source} and cannot be downloaded. Put '
                f'{", ".join(f[0] + ".gz" for f in FILES)} into a folder and '
                'run this again with --source FOLDER')
        args.out.mkdir(parents=True, exist_ok=True)
        temporary = args.out / f'{name}.tmp'
        temporary.write_bytes(data)
        temporary.replace(args.out / name)
    print(f'Fashion-MNIST is in {args.out}: 60,000 training and 10,000 test '
          'images')


if __name__ == '__main__':
    run(main, args)
