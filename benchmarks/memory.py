"""The memory that a training iteration takes on a CPU.

The peak of a supernet's iteration beside those of three plain networks of the
same widths, trained separately in one process, and of the largest of them
alone; and with gradient checkpointing (``with_cp``) where mmpretrain's backbone
has it. Each is measured in a process of its own.

The peak is of the bytes that torch's CPU allocator has given out, by torch's
profiler: weights, momentum, gradients and activations. It is the same in every
run, whatever else the machine does. What oneDNN takes for itself is not in it.
Images a second are in the process's CPU time.
"""

import argparse
import multiprocessing
import statistics
import time
from typing import Any, Dict, List, NamedTuple, Sequence

import torch
from iterations import (
    NETWORKS,
    Batch,
    Iteration,
    apart,
    built,
    path_of,
    plain_networks,
    random_batch,
    shipped,
    typical_plan,
)
from tabulate import tabulate
from torch import nn

from pss.cli import run
from pss.files import write_json

MIB = 2**20
CASES = ('supernet', 'three plain', 'largest alone')
# mmpretrain's MobileNets have the argument too, but use it in some blocks only
CHECKPOINTED = ('r50', )

Row = Dict[str, Any]


class Case(NamedTuple):
    """What is trained.

    Attributes:
        network: its name.
        trained: one of ``CASES``.
        with_cp: whether with gradient checkpointing.
    """
    network: str
    trained: str
    with_cp: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--networks', nargs='+', default=NETWORKS, choices=NETWORKS)
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument(
        '--iterations',
        type=int,
        default=3,
        help='whose CPU time is measured; 0 for none (default: %(default)s)')
    parser.add_argument('--out', default='benchmarks/results/memory.json')
    args = parser.parse_args()
    rows: List[Row] = []
    for case in cases_of(args.networks):
        # a process of its own, without what earlier ones left
        with multiprocessing.get_context('spawn').Pool(1) as pool:
            rows.append(
                pool.apply(measure, (case, args.batch_size, args.iterations)))
        print(rows[-1], flush=True)
    for row in rows:
        row['of_the_larger'] = of_the_larger(row, rows)
    write_json(
        dict(
            torch=torch.__version__,
            batch_size=args.batch_size,
            iterations=args.iterations,
            rows=rows), args.out)
    print(table_of(rows))


def cases_of(networks: Sequence[str]) -> List[Case]:
    """All cases of some networks."""
    cases = []
    for network in networks:
        cases += [Case(network, trained) for trained in CASES]
        if network in CHECKPOINTED:
            cases.append(Case(network, CASES[0], with_cp=True))
    return cases


def measure(case: Case, batch_size: int, iterations: int) -> Row:
    """A row of the table.

    Args:
        case: what to train.
        batch_size: images of an iteration.
        iterations: so many are timed.
    """
    options: Dict[str, Any] = \
        dict(backbone=dict(with_cp=True)) if case.with_cp else {}
    config, model = built(path_of(case.network), **options)
    plan, _ = typical_plan(config, model)
    networks: List[nn.Module] = [model]
    if case.trained == 'supernet':
        iteration = shipped(model, plan)
    else:
        chosen = plan if case.trained == 'three plain' else plan[:1]
        networks = plain_networks(config, model, chosen)
        iteration = apart(networks)
    iteration(random_batch(model, 2))  # from now on there is momentum
    batch = random_batch(model, batch_size)
    peak = standing_bytes(networks) + peak_allocated(iteration, batch)
    seconds = []
    for _ in range(iterations):
        begun = time.process_time()
        iteration(batch)
        seconds.append(time.process_time() - begun)
    return dict(
        case._asdict(),
        peak_mib=round(peak / MIB, 1),
        images_per_cpu_second=round(batch_size / statistics.median(seconds), 2)
        if seconds else None)


def standing_bytes(networks: Sequence[nn.Module]) -> int:
    """The bytes of weights, their momentum, and buffers."""
    weights = sum(p.nbytes for network in networks
                  for p in network.parameters())
    buffers = sum(b.nbytes for network in networks for b in network.buffers())
    return 2 * weights + buffers


def peak_allocated(iteration: Iteration, batch: Batch) -> int:
    """The most bytes that torch's CPU allocator gave out during an iteration,
    beyond those before it."""
    with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU],
            profile_memory=True) as profile:
        iteration(batch)
    now = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == '[memory]':
            now += event.nbytes()
            peak = max(peak, now)
    return peak


def of_the_larger(row: Row, rows: Sequence[Row]) -> float:
    """A peak relative to the larger of those of the three plain networks and
    the largest alone, without checkpointing."""
    plain = max(other['peak_mib'] for other in rows
                if other['network'] == row['network'] and not other['with_cp']
                and other['trained'] != 'supernet')
    return round(row['peak_mib'] / plain, 3)


def table_of(rows: Sequence[Row]) -> str:
    """The table, in Markdown."""
    return tabulate(
        rows,
        headers='keys',
        tablefmt='github',
        floatfmt=('', '', '', '.0f', '.2f', '.3f'))


if __name__ == '__main__':
    run(main)
