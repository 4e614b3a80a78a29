"""Exports a bank for devices without PyTorch, and checks it.

Writes a device bank: weights.bin with the weights of all subnets, one small
ONNX graph a subnet, and bank.json. ONNX Runtime runs it, in any language;
runtime/ has a package for Python that switches between the subnets.
"""

import argparse

import torch

from pss.apis import DeviceExporter, read_bank
from pss.cli import run
from pss.deploy.device_bank import check_device_target
from pss.deploy.export_files import check_targets
from pss.outputs import check_out_folder


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bank', help="the bank's folder")
    parser.add_argument(
        '--out', required=True, metavar='DIR', help='the device bank')
    parser.add_argument(
        '--fp16',
        action='store_true',
        help='keep weights as float16, in half as many bytes; computes in '
        'float32')
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


def main():
    args = parse_args()
    # with few images at a time, further threads only wait for each other
    torch.set_num_threads(1)
    check_out_folder(args.out)
    check_targets([args.out], [args.bank])
    check_device_target(args.out)
    bank = read_bank(args.bank, args.trust)
    exporter = DeviceExporter(bank, 'fp16' if args.fp16 else 'fp32',
                              args.images, args.trust)
    print(f'{len(bank.kept)} subnets; largest differences of their outputs '
          'from the supernet\'s:')
    exporter.export(args.out, print_exported)


def print_exported(exported):
    print(
        f'  {exported.kept.name}: {exported.size / 1e3:.0f} kB; '
        f'{exported.random:.2g} on random images, {exported.real:.2g} on real '
        'ones',
        flush=True)


if __name__ == '__main__':
    run(main)
