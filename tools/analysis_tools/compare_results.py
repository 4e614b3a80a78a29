"""Compares results of several methods: a table at matched costs, and a figure.

``python tools/analysis_tools/compare_results.py A.json B.json ...`` reads the
results of tools/test.py and tools/train.py. Files with the same name, such as
runs of one method with several seeds, are averaged. The figures that the papers
report for ImageNet are in benchmarks/results/published/.
"""

import argparse
from pathlib import Path
from typing import Dict, List


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('results', nargs='+', help='results.json files')
    parser.add_argument(
        '--names',
        nargs='+',
        help="a name for each file (default: the field 'method' in it, or else "
        'its folder)')
    parser.add_argument(
        '--reference',
        help='the method that the others are compared with (default: that of '
        'the first file)')
    parser.add_argument(
        '--levels',
        nargs='+',
        type=float,
        help='costs to compare at (default: some round numbers)')
    parser.add_argument(
        '--resource',
        default='flops',
        help='the resource, by its name in the config (default: %(default)s)')
    parser.add_argument(
        '--out',
        default='comparison.json',
        metavar='JSON',
        help='file to write; a CSV file, a table and a figure of the same name '
        'are written beside it (default: %(default)s)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.cli import run
from pss.errors import InputError
from pss.evaluation import (
    caption_of,
    compare_methods,
    comparison_table,
    is_name,
    names_of,
    read_results,
    report_comparison,
    report_files,
)
from pss.evaluation.results import Results
from pss.outputs import check_out


def check_files(paths, out):
    """Refuses input files that are given twice or would be overwritten, and
    output files that cannot be written."""
    check_out(out, suffix='.json')
    for file in report_files(out):
        check_out(file)
    inputs = [Path(path).resolve() for path in paths]
    for path, resolved in zip(paths, inputs):
        if inputs.count(resolved) > 1:
            raise InputError(f'{path}: is given twice')
        if resolved in [file.resolve() for file in report_files(out)]:
            raise InputError(f'--out={out}: would overwrite {path}')


def names_for(args, results):
    """A name for each file; equal names are runs of one method."""
    stated = [found.get('method') for found in results]
    names = args.names or [
        method or (str(path) if name in stated else name)
        for method, path, name in zip(stated, args.results,
                                      names_of(args.results))
    ]
    if len(names) != len(results):
        raise InputError(f'--names has {len(names)} names for {len(results)} '
                         'files')
    for name in names:
        if not is_name(name):
            raise InputError(f'--names: {name!r} cannot be shown')
    return names


def main(args):
    check_files(args.results, args.out)
    results = [read_results(path, subnets=False) for path in args.results]
    names = names_for(args, results)
    runs: Dict[str, List[Results]] = {}
    for name, found in zip(names, results):
        runs.setdefault(name, []).append(found)
    reference = names[0] if args.reference is None else args.reference
    comparison = compare_methods(runs, reference, args.levels, args.resource)
    files = report_comparison(comparison, runs, args.out)
    print(
        comparison_table(comparison, 'simple'),
        caption_of(comparison),
        ', '.join(map(str, files)),
        sep='\n\n')


if __name__ == '__main__':
    run(main, args)
