"""What subnets cost.

Reads a list of ``{"resolution": int, "widths": [int]}`` and writes it back
with ``"mflops"`` (one multiply-add is one), and with ``"fvcore_mflops"``,
counted subnet by subnet, if asked for.
"""

import argparse
import time

import numpy as np
from mmengine.logging import print_log

from pss.apis import init_model, run
from pss.resources import count_macs, flops_table
from pss.resources.flops import MFLOPS
from pss.structures import read_subnets, write_json


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a supernet')
    parser.add_argument('subnets', help='JSON file with the subnets')
    parser.add_argument('--out', required=True, help='JSON file to write')
    parser.add_argument(
        '--fvcore', action='store_true',
        help='count with fvcore too (about 0.3 s a subnet)')
    args = parser.parse_args()

    model = init_model(args.config)
    subnets = read_subnets(args.subnets, model.search_space)
    flops = flops_table(model)
    start = time.perf_counter()
    mflops = flops(model.search_space.encode(subnets))
    seconds = time.perf_counter() - start
    rows = [dict(**subnet.as_dict(), mflops=cost)
            for subnet, cost in zip(subnets, mflops.tolist())]
    if args.fvcore:
        for i, (row, subnet) in enumerate(zip(rows, subnets), start=1):
            row['fvcore_mflops'] = count_macs(model, subnet) / MFLOPS
            print_log(f'fvcore: {i}/{len(rows)}', 'current')
    write_json(rows, args.out)
    span = f', {mflops.min():g} to {mflops.max():g} MFLOPs' if subnets else ''
    print(f'{len(rows)} subnets{span}, priced in {seconds:.3g} s: {args.out}')
    if args.fvcore and rows:
        worst = np.abs(mflops - [row['fvcore_mflops'] for row in rows]).max()
        print(f'largest difference from fvcore: {worst:g} MFLOPs')


if __name__ == '__main__':
    run(main)
