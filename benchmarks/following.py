"""How well a latency is followed, on simulated loads.

Requests arrive one after the other on a device whose load changes; each takes
the typical latency of the subnet that answers it, times the load, times noise.
The oracle knows the load, though not the noise, and takes the most accurate
subnet whose latency is within the target. A request counts where some subnet
would be in time under the load.
"""

import argparse
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np
from tabulate import tabulate

from pss.cli import run
from pss.deploy import LatencyFollower
from pss.files import write_json

REQUESTS = 600
NOISES = (0.02, 0.05)  # standard deviations of a latency's logarithm
TARGET = 1.25  # times the latency of the most accurate subnet without load


class Bank(NamedTuple):
    """Subnets: typical latencies in milliseconds, accuracies in percent."""
    typical: List[float]
    accuracies: List[float]


class Trace(NamedTuple):
    """A load over time: how much slower each request is, ``(requests, )``.

    Attributes:
        slowdowns: with spikes.
        load: without them, which is what the oracle knows.
        relief: the request at which a load ends, if one does.
    """
    slowdowns: np.ndarray
    load: np.ndarray
    relief: int = -1


def banks() -> Dict[str, Bank]:
    """One of 13 subnets whose latencies differ 2.3 times, as the demo's, and
    one of 24 that differ 4.3 times, as MobileNetV2's FLOPs on ImageNet."""
    found = {}
    for num, ratio, low, high in ((13, 2.3, 86., 90.), (24, 4.3, 68., 73.5)):
        typical = np.geomspace(1., ratio, num) * 10
        accuracies = low + (high - low) * np.linspace(0, 1, num)**0.6
        found[f'{num} subnets'] = Bank(typical.tolist(), accuracies.tolist())
    return found


def traces(rng: np.random.Generator) -> Iterator[Tuple[str, Trace]]:
    """Steps, ramps, waves and spikes."""

    def steady(slowdowns: np.ndarray, relief: int = -1) -> Trace:
        return Trace(slowdowns, slowdowns, relief)

    quiet = np.ones(REQUESTS)
    yield 'no load', steady(quiet)
    for height in (1.3, 1.7, 2.2):
        step = quiet.copy()
        step[200:400] = height
        yield f'step to {height}', steady(step, 400)
    ramp = np.interp(np.arange(REQUESTS), [100, 300, 400, 500], [1., 2., 2., 1])
    yield 'ramp', steady(ramp)
    yield 'wave', steady(1.5 + 0.5 * np.sin(np.arange(REQUESTS) / 60))
    yield 'a new load every 60', steady(
        np.repeat(rng.uniform(1, 2.1, REQUESTS // 60), 60))
    spikes = quiet.copy()
    spikes[50::50] = 4
    yield 'spikes', Trace(spikes, quiet)


def simulate(choose: Callable[[], int], observe: Callable[[int, float], Any],
             bank: Bank, trace: Trace, noise: float,
             rng: np.random.Generator) -> Dict[str, Any]:
    """Answers all requests of a trace.

    Returns:
        ``in_time`` (in percent), ``accuracy`` (minus the oracle's, in points),
        ``moves``, and ``relieved``: requests after the end of the load until
        the oracle's subnet answers, ``None`` without such an end.
    """
    typical, accuracies = map(np.array, bank)
    target = TARGET * typical.max()
    fits = typical * trace.load[:, None] <= target
    best = np.where(
        fits.any(axis=1),
        np.where(fits, accuracies, -np.inf).argmax(axis=1), typical.argmin())
    positions = []
    latencies = []
    for slowdown in trace.slowdowns:
        position = choose()
        latency = typical[position] * slowdown * rng.lognormal(0, noise)
        observe(position, latency)
        positions.append(position)
        latencies.append(latency)
    counted = (typical.min() * trace.slowdowns) <= target
    in_time = np.array(latencies)[counted] <= target
    taken = np.array(positions)
    right = np.flatnonzero(taken[trace.relief:] == best[trace.relief:])
    return dict(
        in_time=100 * in_time.mean(),
        accuracy=(accuracies[taken] - accuracies[best]).mean(),
        moves=int(np.count_nonzero(np.diff(taken))),
        relieved=None
        if trace.relief < 0 else int(right[0]) if len(right) else REQUESTS)


def follow(bank: Bank, trace: Trace, noise: float,
           rng: np.random.Generator) -> Dict[str, Any]:
    """What the follower makes of a trace."""
    follower = LatencyFollower(TARGET * max(bank.typical), *bank)
    return simulate(lambda: follower.position, follower.observe, bank, trace,
                    noise, rng)


def stay(position: int) -> Callable[..., Dict[str, Any]]:
    """Always the same subnet."""

    def answer(bank: Bank, *arguments: Any) -> Dict[str, Any]:
        return simulate(lambda: position % len(bank.typical), lambda *_: None,
                        bank, *arguments)

    return answer


POLICIES: Dict[str, Callable[..., Dict[str, Any]]] = {
    'follower': follow,
    'largest': stay(-1),
    'smallest': stay(0)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repeats', type=int, default=20)
    parser.add_argument('--out', default='benchmarks/results/following.json')
    args = parser.parse_args()
    rows = []
    for name, bank in banks().items():
        for noise in NOISES:
            loads = [
                dict(traces(np.random.default_rng(seed)))
                for seed in range(args.repeats)
            ]
            for trace in loads[0]:
                for policy, answer in POLICIES.items():
                    found = [
                        answer(bank, load[trace], noise,
                               np.random.default_rng(seed))
                        for seed, load in enumerate(loads)
                    ]
                    rows.append(
                        dict(
                            bank=name,
                            noise=noise,
                            trace=trace,
                            policy=policy,
                            **_summary(found)))
    shown = [row for row in rows if row['policy'] == 'follower']
    print(
        tabulate([[row[k] for k in row if k != 'policy'] for row in shown],
                 [k for k in shown[0] if k != 'policy'],
                 floatfmt='.2f'))
    write_json(
        dict(repeats=args.repeats, requests=REQUESTS, target=TARGET, rows=rows),
        args.out)


def _summary(found: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Means, and of the time to come back the 95th percentile; rounded."""
    relieved = [row['relieved'] for row in found]
    return dict(
        in_time=round(float(np.mean([row['in_time'] for row in found])), 2),
        accuracy=round(float(np.mean([row['accuracy'] for row in found])), 3),
        moves=round(float(np.mean([row['moves'] for row in found])), 2),
        relieved=None if None in relieved else float(
            np.percentile(relieved, 95)))


if __name__ == '__main__':
    run(main)
