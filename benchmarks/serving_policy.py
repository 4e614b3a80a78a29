"""How well a server's policy does, on simulated traffic.

Requests of one image arrive at random (Poisson) at 0.5, 1.5 and 3 times what
the largest subnet can answer, and again at 0.5 times. A batch takes what the
grid says, times noise and, where it begins with a request that came in a slow
moment, times what that makes of it. A request counts as in time if it is
answered within the objective; refused ones do not count.

The oracle knows all arrivals and slow moments, though not the noise: dynamic
programming finds the batches and subnets with which the most requests are in
time and, of those, the most accurate ones.
"""

import argparse
from typing import (
    Any,
    Callable,
    Dict,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np
from tabulate import tabulate

from pss.cli import run
from pss.files import write_json
from pss.serving import FollowerScheduler, LatencyGrid, Scheduler

RATES = (0.5, 1.5, 3., 0.5)  # times the largest subnet's capacity
REQUESTS = 250  # that arrive in the mean in a phase of rate 0.5
LARGEST_BATCH = 16
STEP = 1 / 400  # of the objective: the oracle's clock
# slow moments, as on cores that are shared: one begins after the one before it
# so many objectives later in the mean; how many it lasts; how slow batches are
MOMENTS_EVERY, MOMENTS_LAST, MOMENTS_SLOWER = 25., (1.5, 3.), (1.5, 2.5)
TINY = 1e-6  # milliseconds, for sums that are not exact


class Case(NamedTuple):
    """A bank on a device, and an objective."""
    name: str
    grid: LatencyGrid
    slo_ms: float


class Answers(NamedTuple):
    """For each request its latency, infinite if it was refused, and the subnet
    that answered it, -1 if none did."""
    latencies: np.ndarray
    subnets: np.ndarray


def cases() -> List[Case]:
    """Banks of 13 and 24 subnets; devices that gain little and much from
    batches; objectives of 2.5 and 5 times the largest subnet's latency."""
    found = []
    sizes = (1, 2, 4, 8, 16)
    for num, ratio, low, high in ((13, 2.3, 86., 90.), (24, 4.3, 68., 73.5)):
        accuracies = low + (high - low) * np.linspace(0, 1, num)**0.6
        single = np.geomspace(1, ratio, num)
        for fixed in (0.1, 0.6):
            rows = np.multiply.outer(
                single, [fixed + (1 - fixed) * size for size in sizes])
            grid = LatencyGrid(sizes, rows.tolist(), accuracies.tolist())
            for tight in (2.5, 5):
                found.append(
                    Case(f'{num} subnets, {fixed:g} fixed, {tight:g}', grid,
                         tight * single[-1]))
    return found


def traffic(case: Case, rng: np.random.Generator) -> Tuple[Any, Any]:
    """Times of arrival in milliseconds, and the phase of each."""
    capacity = case.grid.capacity(case.grid.order[0], case.slo_ms) / 1e3
    duration = REQUESTS / (RATES[0] * capacity)
    times, phases = [], []
    for phase, rate in enumerate(RATES):
        number = rng.poisson(rate * capacity * duration)
        times.append(duration * (phase + np.sort(rng.uniform(0, 1, number))))
        phases.append(np.full(number, phase))
    return np.concatenate(times), np.concatenate(phases)


def slow_moments(case: Case, times: np.ndarray,
                 rng: np.random.Generator) -> np.ndarray:
    """By how much a batch that begins with a request takes longer, for each
    request."""
    slower, begin = np.ones(len(times)), 0.
    while begin < times[-1]:
        begin += rng.exponential(MOMENTS_EVERY) * case.slo_ms
        end = begin + rng.uniform(*MOMENTS_LAST) * case.slo_ms
        slower[(begin <= times) & (times < end)] = rng.uniform(*MOMENTS_SLOWER)
        begin = end
    return slower


def simulate(scheduler: Any,
             grid: LatencyGrid,
             times: np.ndarray,
             noise: float,
             rng: np.random.Generator,
             slower: Optional[np.ndarray] = None) -> Answers:
    """Answers requests one batch after the other; ``slower`` as for
    :func:`oracle`."""
    latencies = np.full(len(times), np.inf)
    subnets = np.full(len(times), -1)
    now, coming = 0., 0
    while coming < len(times) or len(scheduler):
        if not len(scheduler):
            now = max(now, times[coming])
        while coming < len(times) and times[coming] <= now:
            scheduler.arrive(times[coming], [coming])
            coming += 1
        batch = scheduler.next(now)
        if batch is None or not batch.items:
            continue
        took = grid.latencies_ms[batch.subnet][len(batch.items)] * \
            rng.lognormal(0, noise)
        if slower is not None:
            took *= slower[batch.items[0]]
        # those that arrive while it runs are admitted or refused at once
        while coming < len(times) and times[coming] < now + took:
            scheduler.arrive(times[coming], [coming])
            coming += 1
        now += took
        scheduler.ended(now, batch, took)
        latencies[batch.items] = now - times[batch.items]
        subnets[batch.items] = batch.subnet
    return Answers(latencies, subnets)


def only(grid: LatencyGrid, subnet: int) -> LatencyGrid:
    """The grid of a single subnet."""
    return LatencyGrid(
        grid.sizes, [[grid.latencies_ms[subnet][size] for size in grid.sizes]],
        [grid.accuracies[subnet]])


def adaptive(case: Case,
             times: np.ndarray,
             noise: float,
             rng: np.random.Generator,
             slower: Optional[np.ndarray] = None) -> Answers:
    """The policy."""
    return simulate(
        Scheduler(case.grid, case.slo_ms), case.grid, times, noise, rng, slower)


def always(which: int) -> Callable[..., Answers]:
    """The policy with a single subnet: of the grid's order, this one."""

    def answer(case: Case,
               times: np.ndarray,
               noise: float,
               rng: np.random.Generator,
               slower: Optional[np.ndarray] = None) -> Answers:
        subnet = case.grid.order[which]
        grid = only(case.grid, subnet)
        found = simulate(
            Scheduler(grid, case.slo_ms), grid, times, noise, rng, slower)
        return Answers(found.latencies, np.where(found.subnets < 0, -1, subnet))

    return answer


def follow(case: Case,
           times: np.ndarray,
           noise: float,
           rng: np.random.Generator,
           slower: Optional[np.ndarray] = None) -> Answers:
    """The latency follower."""
    return simulate(
        FollowerScheduler(case.grid, case.slo_ms), case.grid, times, noise, rng,
        slower)


def oracle(case: Case,
           times: np.ndarray,
           *_: Any,
           slower: Optional[np.ndarray] = None) -> Answers:
    """The most requests in time and, of those, the most accurate answers.

    ``value[i][u]`` is the best plan from request ``i`` on that can be carried
    out if the device is free ``u`` steps after that arrived, and
    ``latest[i][u]`` until when it can be. Nothing is rounded in a plan; where
    the device becomes free between two steps and too late for the earlier
    one's plan, it takes the later one's, though there might be a better one.

    Args:
        case: the bank and the objective.
        times: of all arrivals, in milliseconds.
        slower: for each request, by how much a batch that begins with it takes
            longer than the grid says; not at all by default.
    """
    grid, num = case.grid, len(times)
    most = min(LARGEST_BATCH, grid.largest)
    step = STEP * case.slo_ms
    steps = int(round(1 / STEP)) + 1
    free = np.arange(steps) * step
    order = np.array(grid.order)
    rows = np.array(grid.latencies_ms)[order]
    accuracies = np.array(grid.accuracies)[order]
    worth = 1e4 + accuracies  # being in time comes first
    factors = np.ones(num) if slower is None else slower
    value = np.zeros((num + 1, steps))
    latest = np.full((num + 1, steps), np.inf)
    action = np.zeros((num, steps, 2), np.int16)  # batch size (0: refuse), row

    def plan(i: int, free: np.ndarray) -> np.ndarray:
        """The step whose plan is carried out from request ``i`` on, if the
        device is free so long after it arrived."""
        index = np.clip(np.floor(free / step), 0, steps - 1).astype(int)
        return np.minimum(index + (free > latest[i, index] + TINY), steps - 1)

    padded = np.append(times, times[-1])  # nothing depends on it
    for i in range(num - 1, -1, -1):
        ahead = padded[i:i + most + 1] - times[i]
        index = plan(i + 1, free - ahead[1])  # it is refused
        value[i] = value[i + 1, index]
        latest[i] = latest[i + 1, index] + ahead[1]
        for size in range(1, len(ahead)):
            if ahead[size - 1] >= case.slo_ms:
                break
            took = factors[i] * rows[:, size, None]
            ends = np.maximum(free, ahead[size - 1]) + took
            index = plan(i + size, ends - ahead[size])
            found = np.where(ends <= case.slo_ms + TINY,
                             size * worth[:, None] + value[i + size, index], -1)
            row = found.argmax(axis=0)
            found, index = (
                each[row, np.arange(steps)] for each in (found, index))
            until = np.minimum(latest[i + size, index] + ahead[size],
                               case.slo_ms) - took[row, 0]
            better = found > value[i]
            value[i, better] = found[better]
            latest[i, better] = until[better]
            action[i, better] = np.stack([np.full(steps, size), row], 1)[better]
    latencies, subnets = np.full(num, np.inf), np.full(num, -1)
    i, now = 0, 0.
    while i < num:
        size, row = action[i, plan(i, np.array(now - times[i]))]
        if not size:
            i += 1
            continue
        now = max(now, times[i + size - 1]) + factors[i] * rows[row, size]
        # a sum of many latencies is not exact
        latencies[i:i + size] = np.minimum(now - times[i:i + size], case.slo_ms)
        subnets[i:i + size] = order[row]
        i += size
    return Answers(latencies, subnets)


POLICIES: Dict[str, Callable[..., Answers]] = {
    'adaptive': adaptive,
    'largest': always(0),
    'smallest': always(-1),
    'follower': follow,
    'oracle': oracle
}


def summary(case: Case, answers: Answers,
            taken: np.ndarray) -> Dict[str, float]:
    """Of some requests: shares in time, refused and late, in percent; the
    accuracy of answers in time; the median and the 99th percentile of the
    answers' latencies, as shares of the objective."""
    latencies, subnets = answers.latencies[taken], answers.subnets[taken]
    in_time = latencies <= case.slo_ms
    answered = np.isfinite(latencies)
    accuracies = np.array(case.grid.accuracies)
    return dict(
        in_time=100 * in_time.mean(),
        refused=100 * (~answered).mean(),
        late=100 * (answered & ~in_time).mean(),
        accuracy=accuracies[subnets[in_time]].mean()
        if in_time.any() else np.nan,
        p50=np.median(latencies[answered]) / case.slo_ms,
        p99=np.percentile(latencies[answered], 99) / case.slo_ms)


def measure(case: Case,
            noise: float,
            seeds: Sequence[int],
            moments: bool = False) -> List[Dict[str, Any]]:
    """A row for each phase and policy, means over seeds; with slow moments, or
    without.

    ``way`` is how far the accuracy gets from the smallest subnet's to the
    oracle's, in percent.
    """
    found: Dict[Tuple[int, str], List[Dict[str, float]]] = {}
    for seed in seeds:
        times, phases = traffic(case, np.random.default_rng(seed))
        slower = slow_moments(case, times,
                              np.random.default_rng(seed)) if moments else None
        for policy, answer in POLICIES.items():
            answers = answer(
                case, times, noise, np.random.default_rng(seed), slower=slower)
            for phase in range(len(RATES)):
                found.setdefault(
                    (phase, policy),
                    []).append(summary(case, answers, phases == phase))
    means = {
        key: {
            name: float(np.mean([row[name] for row in rows]))
            for name in rows[0]
        }
        for key, rows in found.items()
    }
    least = case.grid.accuracies[case.grid.fastest]
    rows = []
    for (phase, policy), row in sorted(
            means.items(), key=lambda item: item[0][0]):
        reach = means[phase, 'oracle']['accuracy'] - least
        rows.append(
            dict(
                case=case.name,
                noise=noise,
                moments=moments,
                phase=phase,
                rate=RATES[phase],
                policy=policy,
                manageable=means[phase, 'smallest']['in_time'] >= 99,
                **{
                    name: round(value, 3)
                    for name, value in row.items()
                },
                way=None if reach < 0.1 else round(
                    100 * (row['accuracy'] - least) / reach, 1)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument(
        '--first-seed',
        type=int,
        default=100,
        help='of the repeats; constants were chosen on 0 to 2 '
        '(default: %(default)s)')
    parser.add_argument(
        '--noise',
        type=float,
        nargs='+',
        default=[0.02, 0.08],
        help="standard deviations of a latency's logarithm; the first one with "
        'slow moments, too (default: %(default)s)')
    parser.add_argument(
        '--out', default='benchmarks/results/serving_policy.json')
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.repeats)
    rows = [
        row for case in cases()
        for noise, moments in [(args.noise[0],
                                True), *((noise, False)
                                         for noise in args.noise)]
        for row in measure(case, noise, seeds, moments)
    ]
    names = [name for name in rows[0] if name not in ('phase', 'manageable')]
    print(tabulate([[row[name] for name in names] for row in rows], names))
    write_json(dict(seeds=[*seeds], rates=RATES, rows=rows), args.out)


if __name__ == '__main__':
    run(main)
