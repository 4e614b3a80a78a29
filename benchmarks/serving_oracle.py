"""How far a real server's accuracy gets on the way to an oracle's.

Reads a report of benchmarks/serving.py, and gives the same requests to an
oracle that knows all arrivals (benchmarks/serving_policy.py). Batches take what
the server measured at its start; reading requests and sending answers take
nothing, so no server could do what the oracle does. Of each phase it prints the
share in time, the mean accuracy of what was in time, and the way from the
fastest subnet's accuracy to the oracle's.
"""

import argparse
from typing import Any, Dict, List, NamedTuple

import numpy as np
from serving import arrivals
from serving_policy import Case, oracle
from tabulate import tabulate

from pss.cli import run
from pss.errors import InputError
from pss.files import read_json, write_json
from pss.serving import LatencyGrid


def request_grid(subnets: List[Dict[str, Any]], images: int) -> LatencyGrid:
    """Latencies of batches of so many requests, by what was measured for
    images.

    Raises:
        InputError: if no batch holds a request.
    """
    measured = LatencyGrid([int(size) for size in subnets[0]['latency_ms']],
                           [list(s['latency_ms'].values()) for s in subnets],
                           [s['held_out_accuracy'] for s in subnets])
    most = measured.largest // images
    if not most:
        raise InputError(f'images={images}: expected at most '
                         f'{measured.largest}, the largest batch')
    sizes = range(1, most + 1)
    return LatencyGrid(sizes, [[row[size * images] for size in sizes]
                               for row in measured.latencies_ms],
                       measured.accuracies)


def compare(report: Dict[str, Any]) -> List[Dict[str, Any]]:
    """For each run, each of its phases and all of them (``rate=None``): what
    the adaptive server and the oracle have in time, with which accuracies, and
    the way in percent.

    Raises:
        InputError: if the report's requests are not those of its capacity, such
            as when it was put together from several.
    """
    grid = request_grid(report['subnets'], report['images'])
    least = min(subnet['held_out_accuracy'] for subnet in report['subnets']
                if subnet['used'])
    case = Case('', grid, report['slo_ms'])
    found = []
    for number in sorted({row['run'] for row in report['rows']}):
        times = arrivals(report['capacity'], report['seconds'], number,
                         report['rates'])
        answers = oracle(case, 1e3 * times)
        phases = (times // report['seconds']).astype(int)
        is_good = answers.latencies <= report['slo_ms']
        gains = np.array(grid.accuracies)[answers.subnets] - least
        rows = [
            _Phase(row['rate'], row['requests'],
                   row['requests'] * row['in_time'] / 100,
                   (row['accuracy'] or least) - least,
                   int(is_good[phases == row['phase']].sum()),
                   gains[is_good & (phases == row['phase'])].mean())
            for row in report['rows']
            if row['run'] == number and row['policy'] == 'adaptive'
        ]
        numbers = [row.requests for row in rows]
        if numbers != np.bincount(phases, minlength=len(rows)).tolist():
            raise InputError(
                f'run={number}: {numbers} requests in its phases; expected '
                f'{np.bincount(phases).tolist()}, those of capacity='
                f'{report["capacity"]:g}')
        found += [_row(number, least, [row]) for row in rows]
        found.append(_row(number, least, rows))
    return found


class _Phase(NamedTuple):
    """Requests, how many the server and the oracle have in time, and what
    these are more accurate than the fastest subnet in the mean."""
    rate: float
    requests: int
    in_time: float
    gain: float
    oracle_in_time: int
    oracle_gain: float


def _row(number: int, least: float, phases: List[_Phase]) -> Dict[str, Any]:
    """The row of a phase, or of several together."""
    requests = sum(p.requests for p in phases)
    in_time = sum(p.in_time for p in phases)
    oracle_in_time = sum(p.oracle_in_time for p in phases)
    gain = sum(p.in_time * p.gain for p in phases) / max(in_time, 1)
    best = sum(p.oracle_in_time * p.oracle_gain
               for p in phases) / max(oracle_in_time, 1)
    return dict(
        run=number,
        rate=phases[0].rate if len(phases) == 1 else None,
        in_time=round(100 * in_time / requests, 2),
        oracle_in_time=round(100 * oracle_in_time / requests, 2),
        accuracy=round(least + gain, 2),
        oracle=round(least + best, 2),
        way=round(100 * gain / best, 1) if best > 0 else None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('report', help='the file that serving.py wrote')
    parser.add_argument(
        '--out', default='', help='add what was found to a copy of it')
    args = parser.parse_args()
    report = read_json(args.report)
    found = compare(report)
    print(tabulate(found, headers='keys'))
    if args.out:
        write_json(dict(report, oracle=found), args.out)


if __name__ == '__main__':
    run(main)
