"""Draws results files in one figure: top-1 against a cost.

A page (--out PAGE.html) shows all costs, and the subnets on hover.
"""

import argparse
from pathlib import Path


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('results', nargs='+', help='results.json files')
    parser.add_argument(
        '--out',
        default='results.png',
        help='figure to write, or page if it ends in .html (default: '
        '%(default)s)')
    parser.add_argument(
        '--resource',
        help='the resource, by its name in the config (default: flops; all in '
        'a page)')
    parser.add_argument(
        '--names',
        nargs='+',
        help='names for the legend (default: the folders of the files)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.cli import run
from pss.errors import InputError
from pss.evaluation import (
    is_name,
    names_of,
    plot_results,
    read_results,
    write_page,
)
from pss.outputs import check_out


def check_files(paths):
    """Refuses files that are given twice."""
    inputs = [Path(path).resolve() for path in paths]
    for path, resolved in zip(paths, inputs):
        if inputs.count(resolved) > 1:
            raise InputError(f'{path}: is given twice')


def names_for(args):
    """A different name for each file, which is one curve."""
    names = args.names or names_of(args.results)
    if len(names) != len(args.results):
        raise InputError(f'--names has {len(names)} names for '
                         f'{len(args.results)} files')
    for name in names:
        if not is_name(name):
            raise InputError(f'--names: {name!r} cannot be shown')
        if names.count(name) > 1:
            raise InputError(f'--names: {name!r} appears twice; expected a '
                             'different name for each file')
    return names


def main(args):
    check_files(args.results)
    check_out(args.out, args.results)
    names = names_for(args)
    named = {
        name: read_results(path)
        for name, path in zip(names, args.results)
    }
    if Path(args.out).suffix.lower() == '.html':
        write_page(named, args.out, args.resource)
    else:
        plot_results(named, args.out,
                     'flops' if args.resource is None else args.resource)
    print(args.out)


if __name__ == '__main__':
    run(main, args)
