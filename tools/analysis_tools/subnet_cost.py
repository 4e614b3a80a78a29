"""Computes the costs of subnets.

Reads a list of ``{"resolution": int, "widths": [int]}`` and writes it again
with ``"mflops"`` (one multiply-add is one) and the cost in every other resource
that the config names. Optional are ``"latency_us"``, from a latency table, and
``"fvcore_mflops"``, counted subnet by subnet.
"""

import argparse
import time

from pss_command.arguments import add_options


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a supernet')
    parser.add_argument('subnets', help='JSON file with the subnets')
    parser.add_argument('--out', required=True, help='JSON file to write')
    parser.add_argument(
        '--latency-table',
        default=None,
        help='latency table, see tools/build_latency_table.py')
    parser.add_argument(
        '--fvcore',
        action='store_true',
        help='count with fvcore too (about 0.3 s a subnet)')
    add_options(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import numpy as np
from mmengine.logging import print_log

from pss.apis import init_model, load_config
from pss.cli import merge_options, run
from pss.config import config_resources
from pss.errors import InputError
from pss.files import write_json
from pss.outputs import check_out
from pss.resources import Latency, cost_field, cost_tables, count_macs
from pss.resources.flops import MFLOPS
from pss.structures import read_subnets


def main(args):

    check_out(args.out, [args.config, args.subnets, args.latency_table])
    config = load_config(args.config)
    merge_options(config, args.cfg_options)
    resources = config_resources(config)
    if args.latency_table is not None:
        if 'latency_us' in resources:
            raise InputError('--latency-table: the config has a resource '
                             'latency_us already; expected another name there')
        resources['latency_us'] = Latency(args.latency_table)
    model = init_model(config)
    subnets = read_subnets(args.subnets, model.search_space, resources)
    tables = cost_tables(resources, model)
    codes = model.search_space.encode(subnets)
    start = time.perf_counter()
    costs = {name: table(codes) for name, table in tables.items()}
    seconds = time.perf_counter() - start
    rows = [
        dict(
            **subnet.as_dict(), **{
                cost_field(name): float(values[i])
                for name, values in costs.items()
            }) for i, subnet in enumerate(subnets)
    ]
    if args.fvcore:
        for i, (row, subnet) in enumerate(zip(rows, subnets), start=1):
            row['fvcore_mflops'] = count_macs(model, subnet) / MFLOPS
            print_log(f'fvcore: {i}/{len(rows)}', 'current')
    write_json(rows, args.out)
    spans = [
        f', {values.min():g} to {values.max():g} {resources[name].unit}'
        for name, values in costs.items() if subnets
    ]
    print(f'{len(rows)} subnets{"".join(spans)}, priced in {seconds:.3g} s: '
          f'{args.out}')
    if args.fvcore and rows:
        worst = np.abs(costs['flops'] - [r['fvcore_mflops'] for r in rows])
        print(f'largest difference from fvcore: {worst.max():g} MFLOPs')


if __name__ == '__main__':
    run(main, args)
