"""Draws the state of the pools over a training, from its log."""

import argparse


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'log',
        nargs='+',
        help='vis_data/scalars.json files, or a work directory with such files')
    parser.add_argument(
        '--out',
        default='pools.png',
        help='figure to write (default: %(default)s)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.cli import run
from pss.evaluation import plot_pools, read_pool_log
from pss.outputs import check_out


def main(args):
    check_out(args.out, args.log)
    plot_pools(read_pool_log(args.log), args.out)
    print(args.out)


if __name__ == '__main__':
    run(main, args)
