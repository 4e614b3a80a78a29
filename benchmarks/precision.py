"""Training in float32, bfloat16 and float16, channels first and last.

``python benchmarks/precision.py`` trains the three networks at 224 pixels, on a
GPU if there is one, and writes images a second and peak memory as a table to
``benchmarks/results/precision_DEVICE.json`` and ``.md``. An iteration is the
sandwich's three passes and its step on random images; loading is not included.
Each setting runs in its own process. On a CPU they take turns, so that other
load on the machine affects all of them; on a GPU, where memory is scarcer, they
run one after another. The peak is that of torch's allocator on a GPU; on a CPU
it is how much the process grew after the network was built.
"""

import argparse
import json
import multiprocessing
import platform
import resource
import statistics
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import torch
from iterations import (
    NETWORKS,
    built,
    path_of,
    random_batch,
    shipped,
    typical_plan,
)
from tabulate import tabulate

from pss.files import write_json, write_text

PRECISIONS = ('float32', 'bfloat16', 'float16')

Row = Dict[str, Any]


class Setting(NamedTuple):
    """How a network is trained."""
    network: str
    amp: Optional[str]  # None: float32
    channels_last: bool


def build(setting: Setting, args: argparse.Namespace) -> Callable[[], None]:
    """A function that trains one iteration, and waits until it is done."""
    config, model = built(
        path_of(setting.network),
        args.device,
        channels_last=setting.channels_last)
    plan, _ = typical_plan(config, model)
    batch = random_batch(model, args.batch_size, args.device)
    train = shipped(model, plan, setting.amp)

    def iteration() -> None:
        train(batch)
        if args.device == 'cuda':
            torch.cuda.synchronize()

    return iteration


def peak_resident() -> float:
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(setting: Setting, args: argparse.Namespace, turns: Connection,
            out: Connection) -> None:
    """Trains an iteration at each turn, after some that warm up.

    Args:
        setting: what to train.
        args: the script's arguments.
        turns: sends True for a turn, False at the end.
        out: gets the seconds of each turn, and at the end the peak in MiB.
    """
    if args.threads:
        torch.set_num_threads(args.threads)
    iteration = build(setting, args)
    before = peak_resident()
    for _ in range(args.warmup):
        iteration()
    while turns.recv():
        begun = time.perf_counter()
        iteration()
        out.send(time.perf_counter() - begun)
    peak = torch.cuda.max_memory_allocated() / 2 ** 20 \
        if args.device == 'cuda' else peak_resident() - before
    out.send(peak)


def measured(network: str, args: argparse.Namespace) -> List[Row]:
    """A row for each setting of a network."""
    settings = [
        Setting(network, None if precision == 'float32' else precision, last)
        for precision in args.precisions for last in (False, True)
    ]
    if args.device == 'cpu':
        return measured_together(settings, args)
    return [
        row for setting in settings
        for row in measured_together([setting], args)
    ]


def measured_together(settings: Sequence[Setting],
                      args: argparse.Namespace) -> List[Row]:
    """A row for each setting, in processes that take turns."""
    context = multiprocessing.get_context('spawn')
    workers = []
    for setting in settings:
        turns, my_turns = context.Pipe()
        out, my_out = context.Pipe()
        process = context.Process(
            target=measure, args=(setting, args, my_turns, my_out))
        process.start()
        my_out.close()
        seconds: List[float] = []
        workers.append((setting, process, turns, out, seconds))
    for _ in range(args.rounds):
        for _, _, turns, out, seconds in workers:
            turns.send(True)
            seconds.append(out.recv())
    rows = []
    for setting, process, turns, out, seconds in workers:
        turns.send(False)
        median = statistics.median(seconds)
        rows.append(
            dict(
                network=setting.network,
                precision=setting.amp or 'float32',
                memory_format='channels_last'
                if setting.channels_last else 'contiguous',
                images_per_second=args.batch_size / median,
                fastest=args.batch_size / min(seconds),
                slowest=args.batch_size / max(seconds),
                peak_mib=out.recv()))
        process.join()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--networks', nargs='+', default=NETWORKS, choices=NETWORKS)
    parser.add_argument(
        '--precisions', nargs='+', default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument(
        '--batch-size', type=int, help='default: 128 on a GPU, 8 on a CPU')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--warmup', type=int, default=2)
    parser.add_argument(
        '--threads',
        type=int,
        default=0,
        help='of a CPU; 0 leaves the number to torch')
    parser.add_argument(
        '--device',
        choices=['cpu', 'cuda'],
        default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument(
        '--out',
        default='benchmarks/results',
        help='folder (default: %(default)s)')
    args = parser.parse_args()
    if args.batch_size is None:
        args.batch_size = 128 if args.device == 'cuda' else 8
    rows = [row for network in args.networks for row in measured(network, args)]
    report(rows, args)


def report(rows: Sequence[Row], args: argparse.Namespace) -> None:
    """Writes and prints the table."""
    device = torch.cuda.get_device_name() if args.device == 'cuda' \
        else f'CPU ({platform.machine()})'
    about = dict(
        device=device,
        torch=torch.__version__,
        batch_size=args.batch_size,
        rounds=args.rounds,
        threads=args.threads or torch.get_num_threads())
    first = {row['network']: row for row in reversed(rows)}
    table = tabulate([[
        row['network'], row['precision'], row['memory_format'],
        row['images_per_second'],
        row['images_per_second'] / first[row['network']]['images_per_second'],
        f'{row["slowest"]:.1f} to {row["fastest"]:.1f}', row['peak_mib']
    ] for row in rows],
                     headers=[
                         'network', 'precision', 'memory format', 'images/s',
                         'of the first', 'range', 'peak MiB'
                     ],
                     floatfmt=('', '', '', '.1f', '.2f', '', '.0f'),
                     tablefmt='github')
    out = Path(args.out)
    write_json(dict(about, rows=rows), out / f'precision_{args.device}.json')
    write_text(
        f'`python benchmarks/precision.py --batch-size '
        f'{args.batch_size} --rounds {args.rounds}`: {device}, torch '
        f'{about["torch"]}, {about["threads"]} threads.\n\n{table}\n',
        out / f'precision_{args.device}.md')
    print(table)
    print(json.dumps(about))


if __name__ == '__main__':
    main()
