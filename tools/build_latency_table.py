"""Measures a device and writes its latency table.

Every block that the config's space can reach is measured once: stem, blocks,
last convolution and classifier, in every size. If it is stopped, the same
command continues where it left off.
"""

import argparse
import statistics
import sys

from pss_command.arguments import add_options


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a supernet')
    parser.add_argument('--out', required=True, help='JSON file to write')
    parser.add_argument(
        '--device',
        choices=['cpu', 'cuda'],
        default='cpu',
        help='device to measure (default: %(default)s)')
    parser.add_argument(
        '--backend',
        choices=['torch', 'onnxruntime'],
        default='torch',
        help='what runs the blocks (default: %(default)s)')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=1,
        help='images at a time (default: %(default)s)')
    parser.add_argument(
        '--threads',
        type=int,
        default=1,
        help='CPU threads of one run (default: %(default)s)')
    parser.add_argument(
        '--dtype',
        choices=['float32', 'float16', 'bfloat16'],
        default='float32',
        help='type of weights and activations (default: %(default)s)')
    parser.add_argument(
        '--max-blocks',
        type=int,
        default=None,
        help='measure at most this many blocks (but two of each kind), and '
        'interpolate the rest')
    parser.add_argument(
        '--min-run-time',
        type=float,
        default=0.05,
        help='least duration of a measurement, in seconds '
        '(default: %(default)s)')
    parser.add_argument(
        '--rounds',
        type=int,
        default=3,
        help='how often everything is measured, at different times; the table '
        'holds the median (default: %(default)s)')
    parser.add_argument(
        '--verify',
        type=int,
        default=0,
        metavar='N',
        help='then measure N random subnets and report how far the sums of '
        'their blocks are off')
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='for drawing the subnets of --verify (default: %(default)s)')
    add_options(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import torch

from pss.apis import init_model, load_config
from pss.cli import (
    check_integers,
    check_numbers,
    check_seed,
    merge_options,
    run,
)
from pss.errors import InputError
from pss.outputs import check_out
from pss.profiling.latency_building import build_table
from pss.profiling.profiler import Profiler
from pss.profiling.verification import verify_table


def main(args):
    check_integers(
        args,
        batch_size=1,
        threads=(1, 1024),
        max_blocks=1,
        rounds=(1, 1000),
        verify=(0, 1_000_000))
    if args.verify in (1, 2):
        raise InputError(f'--verify={args.verify}: expected 0, or at least 3 '
                         'for a rank correlation')
    check_numbers(args, min_run_time=(0, 3600))
    check_seed(args)
    check_out(args.out, [args.config])
    config = load_config(args.config)
    merge_options(config, args.cfg_options)
    torch.set_num_threads(args.threads)
    profiler = Profiler(
        init_model(config), args.device, args.backend, args.batch_size,
        args.threads, args.dtype, args.min_run_time)
    try:
        table = build_table(profiler, args.out, args.max_blocks, args.rounds)
        print_table(table, args.out)
        if args.verify:
            print_verification(
                verify_table(profiler, table, args.out, args.verify, args.seed,
                             args.rounds))
    except KeyboardInterrupt:
        print(
            '\nstopped; the same command continues from here', file=sys.stderr)
        sys.exit(130)


def print_table(table, path):
    """Prints what was measured, and where the table is."""
    header = table.header
    spreads = [
        t.spread / t.latency for t in table.timings.values()
        if t.spread is not None
    ]
    print(f'{len(table.timings)} blocks on {header["device_name"]} '
          f'({header["device"]}, {header["backend"]}, batch '
          f'{header["batch_size"]}, {header["threads"]} threads, '
          f'{header["dtype"]}): {path}')
    print(f'measurements of a block differ by {statistics.median(spreads):.1%} '
          'of its latency (median)')
    found = header['interpolation']
    if found:
        print(f'{found["interpolated"]} blocks are interpolated, with a mean '
              f'error of {found["mean_relative_error"]:.1%} on measured blocks '
              'left out')


def print_verification(found):
    """Prints how far sums of blocks are from whole subnets."""
    low, high = (value / 1000 for value in found['measured'])
    print(f'{found["subnets"]} subnets, {low:.2f} to {high:.2f} ms: sums of '
          f'blocks times {found["scale"]:.3f} are off by '
          f'{found["mean_relative_error"]:.1%} on average, '
          f'{found["worst_relative_error"]:.1%} at worst; rank correlation ' +
          ('not defined' if found['rank_correlation'] is
           None else f'{found["rank_correlation"]:.3f}'))


if __name__ == '__main__':
    run(main, args)
