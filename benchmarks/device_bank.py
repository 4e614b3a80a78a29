"""Writes a device bank of random weights: for loads and sizes, where what the
networks answer does not matter. Its accuracies are made up: 60, 61, and so on.

  python benchmarks/device_bank.py configs/pss_r50_imagenet.py --every 6 \\
      --out work_dirs/r50_bank
"""

import argparse

import torch
from switching import random_bank

from pss.apis import DeviceExporter
from pss.checks import check_integer
from pss.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('--out', required=True, help='the new folder')
    parser.add_argument(
        '--every',
        type=int,
        default=1,
        help='a subnet for each of so many pools, besides the smallest and the '
        'largest (default: %(default)s)')
    args = parser.parse_args()
    check_integer('--every', args.every, 1)
    torch.set_num_threads(1)
    _, bank = random_bank(args.config, args.every)
    DeviceExporter(bank).export(args.out)
    print(f'{args.out}: {len(bank.kept)} subnets')


if __name__ == '__main__':
    run(main)
