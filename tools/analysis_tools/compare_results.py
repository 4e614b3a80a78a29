"""Compares results of several methods: a table at matched costs, and a figure.

``python tools/analysis_tools/compare_results.py A.json B.json ...`` reads what
tools/test.py and tools/train.py write. Files of one name, such as runs of one
method with several seeds, are averaged. benchmarks/results/published/ has the
figures that the papers report for ImageNet.
"""

import argparse

from pss.apis import run
from pss.errors import InputError
from pss.evaluation import (
    caption_of,
    compare,
    comparison_table,
    names_of,
    read_results,
    report_comparison,
)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('results', nargs='+', help='results.json files')
    parser.add_argument(
        '--names', nargs='+',
        help="a name for each file; default to the field 'method' in the file, "
        'or its folder')
    parser.add_argument(
        '--reference',
        help="the method whose lead is shown; defaults to the first file's")
    parser.add_argument(
        '--levels', nargs='+', type=float,
        help='the costs to compare at; some round ones by default')
    parser.add_argument(
        '--resource', default='flops',
        help='the cost, by its name in the config (default: %(default)s)')
    parser.add_argument(
        '--out', default='comparison.json', metavar='JSON',
        help='file to write; a CSV file, a table and a figure get the same '
        'name (default: %(default)s)')
    return parser.parse_args()


def main():
    args = parse_args()
    results = [read_results(path, subnets=False) for path in args.results]
    names = args.names or [
        found.get('method', name)
        for found, name in zip(results, names_of(args.results))]
    if len(names) != len(results):
        raise InputError(f'--names has {len(names)} names for {len(results)} '
                         'files')
    runs = {}
    for name, found in zip(names, results):
        runs.setdefault(name, []).append(found)
    comparison = compare(runs, args.reference or names[0], args.levels,
                         args.resource)
    files = report_comparison(comparison, runs, args.out)
    print(comparison_table(comparison, 'simple'), caption_of(comparison),
          ', '.join(map(str, files)), sep='\n\n')


if __name__ == '__main__':
    run(main)
