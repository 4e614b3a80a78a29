"""Exports subnets of a bank as plain networks, and checks them.

Each is written as DIR/NAME.onnx (or .pth with a config for mmpretrain, or .pt
for TorchScript), with a JSON file that describes the subnet and the
preprocessing. The networks resize images themselves, so all of them take the
same input.
"""

import argparse


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bank', help="the bank's folder")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        '--budget',
        nargs='+',
        metavar='NAME=LIMIT',
        help='the most accurate subnet within all limits, such as '
        'flops=60 latency_cpu=20000')
    which.add_argument('--all', action='store_true', help='every kept subnet')
    parser.add_argument(
        '--format', required=True, choices=['torch', 'onnx', 'torchscript'])
    parser.add_argument('--out', required=True, metavar='DIR')
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

from pss.apis import Exporter, read_bank
from pss.cli import run
from pss.cli.limits import parse_budget
from pss.deploy.exporter import check_export
from pss.deploy.model_index import write_model_index
from pss.runtime.selection import check_limits, most_accurate


def main(args):
    # with few images at a time, further threads only wait for each other
    torch.set_num_threads(1)
    check_export(args.out, args.bank, args.format)
    bank = read_bank(args.bank, args.trust)
    if args.all:
        chosen = list(bank.kept)
    else:
        limits = check_limits(parse_budget(args.budget), bank.resources)
        chosen = [most_accurate(bank.kept, limits, bank.resources)]
    exporter = Exporter(bank, args.images, args.trust)
    for kept in chosen:
        record = exporter.export(kept, args.format, args.out)
        costs = ', '.join(f'{value:g} {bank.resources[name] or name}'
                          for name, value in kept.costs.items())
        found = record['largest_difference']
        print(
            f'{args.out}/{record["file"]}: {kept.name} ({costs}); largest '
            f'difference of logits from the supernet: {found["random"]:.2g} '
            f'on random images, {found["real"]:.2g} on real ones',
            flush=True)
    if args.format == 'torch':
        print(f'{write_model_index(args.out)}: their index for mmpretrain')


if __name__ == '__main__':
    run(main, args)
