"""Exports a bank for devices without PyTorch, and checks it.

Writes a device bank: weights.bin with the weights of all subnets, one small
ONNX graph a subnet, and bank.json. ONNX Runtime runs it, in any language;
runtime/ has a package for Python that switches between the subnets.
"""

import argparse
from pathlib import Path


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bank', help="the bank's folder")
    parser.add_argument(
        '--out', required=True, metavar='DIR', help='the device bank')
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        '--fp16',
        action='store_true',
        help='keep weights as float16, in half as many bytes; computes in '
        'float32')
    precision.add_argument(
        '--int8',
        action='store_true',
        help="quantise with ONNX Runtime, and print the accuracy before and "
        "after on the bank's test images")
    parser.add_argument(
        '--calibration',
        metavar='DIR',
        help='a folder of images, subfolders included, that the ranges of '
        "int8's activations come from; the images in the bank by default")
    parser.add_argument(
        '--num-images',
        type=int,
        default=1000,
        help='so many test images, and at most a fifth of it to calibrate '
        'with (default: %(default)s)')
    parser.add_argument(
        '--images',
        nargs='+',
        metavar='FILE',
        help='real images to compare on, instead of those in the bank')
    parser.add_argument(
        '--trust',
        nargs='+',
        metavar='PACKAGE',
        default=[],
        help='packages whose registered classes the bank may name; they are '
        'imported')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import torch

from pss.apis import DeviceExporter, read_bank
from pss.checks import check_integer
from pss.cli import run
from pss.deploy.device_bank import check_device_target
from pss.deploy.export_files import check_targets
from pss.errors import InputError
from pss.outputs import check_out_folder

IMG_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.tif', '.tiff',
                  '.webp')


def main(args):
    # with few images at a time, further threads only wait for each other
    torch.set_num_threads(1)
    check_out_folder(args.out)
    check_targets([args.out], [args.bank])
    check_device_target(args.out)
    bank = read_bank(args.bank, args.trust)
    check_integer('--num-images', args.num_images, 5)
    precision = 'fp16' if args.fp16 else 'int8' if args.int8 else 'fp32'
    calibration = None
    if args.calibration is not None:
        if not args.int8:
            raise InputError('--calibration: expected --int8 with it')
        calibration = images_in(args.calibration, args.num_images // 5)
    exporter = DeviceExporter(
        bank, precision, args.images, calibration, trust=args.trust)
    if args.int8:
        try:
            exporter.label(args.num_images)
        except InputError as error:
            print(f'no accuracies: {error}')
    print(f'{len(bank.kept)} subnets; largest differences of their outputs '
          'from the supernet\'s:')
    done = exporter.export(args.out, print_exported)
    total = sum(path.stat().st_size for path in Path(args.out).iterdir())
    print(f'{args.out}: {len(done)} subnets, {total / 1e6:.2f} MB')


def images_in(folder, most):
    """Evenly spaced image files of a folder and its subfolders."""
    if not Path(folder).is_dir():
        raise InputError(f'--calibration={folder}: no such folder')
    paths = sorted(
        path for path in Path(folder).rglob('*')
        if path.suffix.lower() in IMG_EXTENSIONS)
    if not paths:
        raise InputError(f'--calibration={folder}: no images in it; expected '
                         f'some {", ".join(IMG_EXTENSIONS)}')
    most = min(most, len(paths))
    return [paths[i * len(paths) // most] for i in range(most)]


def print_exported(exported):
    accuracy = '' if exported.before is None else \
        f'; accuracy {exported.before:.2f} % before, ' \
        f'{exported.after:.2f} % after'
    print(
        f'  {exported.kept.name}: {exported.size / 1e3:.0f} kB; '
        f'{exported.random:.2g} on random images, {exported.real:.2g} on real '
        f'ones{accuracy}',
        flush=True)


if __name__ == '__main__':
    run(main, args)
