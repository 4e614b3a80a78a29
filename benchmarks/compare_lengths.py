"""Compares methods over several lengths of training.

Reads the reports of benchmarks/compare.py. Differences of areas are paired by
seed, at equal network passes: of each length, and the mean of all lengths of
each seed, since runs of a seed share initial weights. ``±`` is the standard
error over seeds.
"""

import argparse
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from compare_report import NAMES, PASSES
from tabulate import tabulate

from pss.cli import run
from pss.errors import InputError
from pss.evaluation.comparison import area, curve_of
from pss.files import read_json, write_json

PAIRS = [(ours, other) for ours in ('pss', 'pss_additive')
         for other in ('random', 'pss', 'mutualnet', 'usnet') if ours != other]
CHOICES = dict(results='search', published='by score')


def areas_of(report: Dict[str, Any],
             choice: str) -> Dict[Tuple[str, int], float]:
    """The area of each method and seed, over the costs that all reach.

    Args:
        report: of one length.
        choice: ``results`` after the search, ``published`` by score.
    """
    curves = {
        (r['method'], r['seed']): curve_of(r[choice])
        for r in report['runs'] if r['draws'] == r['seed'] and r['epochs'] *
        r['passes'] == PASSES * report['epochs']
    }
    low = max(float(costs[0]) for costs, _ in curves.values())
    high = min(float(costs[-1]) for costs, _ in curves.values())
    return {key: area(curve, low, high) for key, curve in curves.items()}


def compare(reports: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Differences of methods, of each length and of all.

    Raises:
        InputError: if there are no two seeds that all of them have.
    """
    found = []
    for choice, words in CHOICES.items():
        areas = [areas_of(report, choice) for report in reports]
        for ours, other in PAIRS:
            seeds = [
                seed for seed in reports[0]['seeds']
                if all((method, seed) in one for one in areas
                       for method in (ours, other))
            ]
            if len(seeds) < 2:
                raise InputError(f'{ours} and {other}: {len(seeds)} seeds in '
                                 'all reports; expected at least 2')
            gaps = np.array([[one[ours, s] - one[other, s] for s in seeds]
                             for one in areas])
            row: Dict[str, Any] = dict(
                method=NAMES[ours],
                other=NAMES[other],
                choice=words,
                seeds=len(seeds))
            for report, gap in zip([*(r['epochs'] for r in reports), 'all'],
                                   [*gaps, gaps.mean(axis=0)]):
                row[str(report)] = dict(
                    mean=float(gap.mean()),
                    standard_error=float(gap.std(ddof=1) / len(seeds)**0.5))
            found.append(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'reports',
        nargs='*',
        default=[
            f'benchmarks/results/compare_fashion_mnist{length}.json'
            for length in ('_16ep', '', '_32ep')
        ],
        help='JSON files of benchmarks/compare.py (default: those of 16, 24 '
        'and 32 epochs)')
    parser.add_argument('--out', help='JSON file')
    args = parser.parse_args()
    found = compare([read_json(path) for path in args.reports])
    print(
        tabulate([{
            k:
            f'{v["mean"]:+.2f} ± {v["standard_error"]:.2f}' if isinstance(
                v, dict) else v
            for k, v in row.items()
        } for row in found],
                 headers='keys'))
    if args.out:
        write_json(dict(rows=found), args.out)


if __name__ == '__main__':
    run(main)
