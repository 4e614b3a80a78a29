"""One training iteration of a supernet against plain networks.

They are three of the same widths in a hand-written loop: forward with the same
losses, backward, and one optimizer step for the largest. Both sides take turns;
the ratio is that of the medians.
"""

import argparse
import statistics
import time
from typing import Any, Dict, List, Sequence

import torch
from iterations import (
    NETWORKS,
    Batch,
    Iteration,
    built,
    path_of,
    plain_networks,
    random_batch,
    shipped,
    together,
    typical_plan,
)

from pss.sampling import PrioritizedSampler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'configs', nargs='*', default=[path_of(name) for name in NETWORKS])
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    for config in args.configs:
        measure(config, args)


def measure(path: str, args: argparse.Namespace) -> None:
    """Prints one config's figures."""
    config, model = built(path, args.device)
    plan, sampler = typical_plan(config, model)
    batch = random_batch(model, args.batch_size, args.device)
    plain: List[Any] = plain_networks(config, model, plan)
    iterations = [shipped(model, plan), together(plain, plain)]
    ours, theirs = median_seconds(iterations, batch, args.rounds, args.device)
    draw = seconds_of_sampling(sampler)
    print(
        f'{path}, batch {args.batch_size}, {args.device}: supernet '
        f'{ours:.3f} s, three plain networks {theirs:.3f} s, ratio '
        f'{ours / theirs:.3f}; sampler and pools {draw * 1e3:.3f} ms, '
        f'{draw / ours:.3%} of an iteration',
        flush=True)


def median_seconds(iterations: Sequence[Iteration], batch: Batch, rounds: int,
                   device: str) -> List[float]:
    """Median times of some functions that take turns, after one warm-up each.
    """
    times: Dict[Iteration, List[float]] = {i: [] for i in iterations}
    for turn in range(rounds + 1):
        for iteration, seconds in times.items():
            start = time.perf_counter()
            iteration(batch)
            if device != 'cpu':
                torch.cuda.synchronize()
            if turn:
                seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in times.values()]


def seconds_of_sampling(sampler: PrioritizedSampler, num: int = 200) -> float:
    """Seconds that an iteration's draw and its pool's update take."""
    start = time.perf_counter()
    for i in range(num):
        passes, pool = sampler.plan(0, i, 0.5)
        assert pool is not None
        pool.update(passes[1].subnet, -1. - i / num)
    return (time.perf_counter() - start) / num


if __name__ == '__main__':
    main()
