"""How far a real server's accuracy gets on the way to an oracle's.

Reads a report of benchmarks/serving.py, and gives the same requests to an
oracle that knows all arrivals (benchmarks/serving_policy.py). Batches take what
the server measured at its start; reading requests and sending answers take
nothing, so no server could do what the oracle does. Of each phase it prints the
share in time, the mean accuracy of what was in time, and the way from the
fastest subnet's accuracy to the oracle's.

Client, HTTP and networks share the cores, so batches take longer under load
than they were measured without. For "loaded" the oracle's batches take as much
longer as the server's did for the requests of the same quarter of a second, or
in the mean of that phase where it answered none. "manageable" is what the
fastest subnet alone has in time, simulated, if its batches take as much longer,
too: a machine's cores are not always equally fast, so what a server of it had
in time at another time may not be comparable.
"""

import argparse
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

import numpy as np
from open_loop import SLICE, arrivals
from serving_policy import Answers, Case, always, oracle
from tabulate import tabulate

from pss.cli import run
from pss.errors import InputError
from pss.files import read_json, write_json
from pss.serving import LatencyGrid

NOISE = 0.08  # of a simulated batch: standard deviation of its logarithm


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
        phases = (times // report['seconds']).astype(int)
        mine = [
            row for row in report['rows']
            if row['run'] == number and row['policy'] == 'adaptive'
        ]
        numbers = [row['requests'] for row in mine]
        if numbers != np.bincount(phases, minlength=len(mine)).tolist():
            raise InputError(
                f'run={number}: {numbers} requests in its phases; expected '
                f'{np.bincount(phases).tolist()}, those of capacity='
                f'{report["capacity"]:g}')
        slower = _slower(times % report['seconds'], phases, mine)
        served = [
            _Share(row['requests'], row['requests'] * row['in_time'] / 100,
                   (row['accuracy'] or least) - least) for row in mine
        ]
        others = [
            _shares(answers, case, phases, least) for answers in (
                oracle(case, 1e3 * times),
                oracle(case, 1e3 * times, slower=slower),
                always(-1)(case, 1e3 *
                           times, NOISE, np.random.default_rng(number), slower))
        ]
        for chosen in (*([i] for i in range(len(mine))), range(len(mine))):
            found.append(
                dict(
                    run=number,
                    rate=mine[chosen[0]]['rate'] if len(chosen) == 1 else None,
                    slower=mine[chosen[0]]['slower']
                    if len(chosen) == 1 else None,
                    **_row(
                        least,
                        *(_Share.sum(shares[i] for i in chosen)
                          for shares in (served, *others)))))
    return found


def _slower(seconds: np.ndarray, phases: np.ndarray,
            rows: List[Dict[str, Any]]) -> np.ndarray:
    """By how much batches took longer, for each request.

    Args:
        seconds: from the beginning of its phase.
        phases: of each.
        rows: of the phases.
    """
    found = np.array([row['slower'] or 1. for row in rows])[phases]
    for phase, row in enumerate(rows):
        slices = [each or np.nan for each in row.get('slices', [])]
        if slices:
            mine = phases == phase
            index = (seconds[mine] / SLICE).astype(int)
            each = np.array(slices, float)[np.minimum(index, len(slices) - 1)]
            found[mine] = np.where(np.isnan(each), found[mine], each)
    return found


class _Share(NamedTuple):
    """Requests, how many are in time, and what these are more accurate than the
    fastest subnet in the mean."""
    requests: int
    in_time: float
    gain: float

    @classmethod
    def sum(cls, shares: Iterable['_Share']) -> '_Share':
        """Of several phases together."""
        shares = list(shares)
        in_time = sum(share.in_time for share in shares)
        gain = sum(share.in_time * share.gain for share in shares)
        return cls(
            sum(share.requests for share in shares), in_time,
            gain / max(in_time, 1))


def _shares(answers: Answers, case: Case, phases: np.ndarray,
            least: float) -> List[_Share]:
    """Of each phase."""
    gains = np.array(case.grid.accuracies)[answers.subnets] - least
    is_good = answers.latencies <= case.slo_ms
    return [
        _Share(
            int((phases == phase).sum()),
            int((is_good & (phases == phase)).sum()),
            float(gains[is_good & (phases == phase)].mean()))
        for phase in range(phases.max() + 1)
    ]


def _row(least: float, served: _Share, best: _Share, loaded: _Share,
         fastest: _Share) -> Dict[str, Any]:
    """What the server has, both oracles, and the fastest subnet."""
    return dict(
        in_time=round(100 * served.in_time / served.requests, 2),
        oracle_in_time=round(100 * best.in_time / best.requests, 2),
        loaded_in_time=round(100 * loaded.in_time / loaded.requests, 2),
        manageable=round(100 * fastest.in_time / fastest.requests, 2),
        accuracy=round(least + served.gain, 2),
        oracle=round(least + best.gain, 2),
        loaded=round(least + loaded.gain, 2),
        way=_way(served, best),
        loaded_way=_way(served, loaded))


def _way(served: _Share, best: _Share) -> Optional[float]:
    return round(100 * served.gain / best.gain, 1) if best.gain > 0 else None


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
