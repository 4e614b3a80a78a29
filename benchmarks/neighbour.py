"""A neighbour that makes the cores slow for a moment, now and then.

Runs beside benchmarks/serving.py, as on a machine that is shared: all cores are
busy with it at the same random moments, in which whatever else runs on one has
about half of it.
"""

import argparse
import multiprocessing
import os
import time
from typing import List, Tuple

import numpy as np

from pss.checks import check_integer, check_number
from pss.cli import run

EVERY, LAST = 2.5, (0.15, 0.3)  # seconds


def moments(seconds: float, every: float, last: Tuple[float, float],
            seed: int) -> List[Tuple[float, float]]:
    """Beginnings and ends, in seconds from the start.

    Args:
        seconds: the last one ends before.
        every: from the end of one to the beginning of the next, in the mean.
        last: how long each is, the shortest and the longest.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    found: List[Tuple[float, float]] = []
    end = 0.
    while True:
        begin = end + rng.exponential(every)
        end = begin + rng.uniform(*last)
        if end > seconds:
            return found
        found.append((begin, end))


def busy(core: int, start: float, times: List[Tuple[float, float]]) -> None:
    """Computes on a core at some times after the start, as long as the process
    lives that it was started by."""
    parent = os.getppid()
    # a session of its own, so that the kernel gives it as much as a server
    os.setsid()
    os.sched_setaffinity(0, [core])
    for begin, end in times:
        time.sleep(max(start + begin - time.monotonic(), 0))
        while time.monotonic() < start + end:
            if os.getppid() != parent:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('seconds', type=float, help='that it runs')
    parser.add_argument(
        '--every',
        type=float,
        default=EVERY,
        help='seconds between two moments, in the mean (default: %(default)s)')
    parser.add_argument(
        '--last',
        type=float,
        nargs=2,
        default=LAST,
        metavar=('LEAST', 'MOST'),
        help='seconds of a moment (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    check_number('--seconds', args.seconds, above=0)
    check_number('--every', args.every, above=0)
    least = check_number('--last[0]', args.last[0], above=0)
    check_number('--last[1]', args.last[1], least=least)
    check_integer('--seed', args.seed, 0)
    times = moments(args.seconds, args.every, tuple(args.last), args.seed)
    cores = sorted(os.sched_getaffinity(0))
    start = time.monotonic()
    processes = [
        multiprocessing.Process(target=busy, args=(core, start, times))
        for core in cores
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    share = sum(end - begin for begin, end in times) / args.seconds
    print(f'{len(times)} moments on {len(cores)} cores, {100 * share:.1f} % of '
          'the time')


if __name__ == '__main__':
    run(main)
