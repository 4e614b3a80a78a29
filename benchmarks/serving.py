"""A real server under open-loop traffic, on this machine.

Starts tools/deployment/serve.py with all subnets (adaptive), with all subnets
and the latency follower, with only the most accurate one and with only the
fastest one, and sends requests that arrive at random (Poisson) at 0.5, 1.5 and
3 times what the most accurate subnet can answer, and again at 0.5 times.
Arrivals do not wait for answers. A request is in time if its whole answer was
read within the objective, by the client's clock; refused ones are not.

By default the objective is 5 times what the most accurate subnet takes. To see
the policy, rather than how many requests a second HTTP can take, serve networks
that take long: benchmarks/device_bank.py writes some of random weights.

Client and server share the machine's cores; the results say what the client and
the server's processes took, what the host of a virtual machine gave to others,
and what else ran.
"""

import argparse
import asyncio
import gc
import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import matplotlib.pyplot as plt
import numpy as np
from open_loop import (
    RATES,
    SLICE,
    Answer,
    Client,
    arrivals,
    drawn_images,
    folder_images,
    labelled_images,
)
from tabulate import tabulate

from pss.checks import check_integer, check_number
from pss.cli import run
from pss.files import write_json
from pss.serving.served_bank import (
    Source,
    measure_grid,
    open_bank,
    served_subnets,
)

# the first one's server says which subnets are the largest and the smallest
POLICIES = ('adaptive', 'follower', 'largest', 'smallest')
TOOL = Path(__file__).parents[1] / 'tools' / 'deployment' / 'serve.py'
OBJECTIVE = 5  # times the most accurate subnet's latency
TICKS = os.sysconf('SC_CLK_TCK')  # a second, of the kernel's CPU times


class Server:
    """The tool in processes of its own; used as a context."""

    def __init__(self, bank: str, slo_ms: float, only: List[str],
                 options: List[str]) -> None:
        with socket.socket() as found:
            found.bind(('127.0.0.1', 0))
            self.port = found.getsockname()[1]
        words = [
            sys.executable,
            str(TOOL), bank, '--slo-ms',
            str(slo_ms), '--port',
            str(self.port), *options
        ]
        if only:
            words += ['--only', *only]
        self.process = subprocess.Popen(words, start_new_session=True)

    def __enter__(self) -> 'Server':
        for _ in range(1200):
            if self.process.poll() is not None:
                raise RuntimeError('the server did not start')
            try:
                self.get('/ready')
                return self
            except OSError:
                time.sleep(0.2)
        raise RuntimeError('the server did not start')

    def get(self, path: str) -> bytes:
        """What it answers."""
        with urllib.request.urlopen(
                f'http://127.0.0.1:{self.port}{path}', timeout=10) as answer:
            return answer.read()

    def cpu_seconds(self) -> Dict[str, float]:
        """CPU time so far of the process that runs the networks, and of all
        others, in seconds."""
        found = dict(network=0., http=0.)
        for name in filter(str.isdecimal, os.listdir('/proc')):
            try:
                fields = Path('/proc', name,
                              'stat').read_bytes().rpartition(b')')[2].split()
                words = Path('/proc', name, 'cmdline').read_bytes()
            except OSError:  # it has ended
                continue
            if int(fields[3]) == self.process.pid:  # its session
                which = 'network' if b'spawn_main' in words else 'http'
                found[which] += (int(fields[11]) + int(fields[12])) / TICKS
        return found

    def __exit__(self, *_: Any) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session


def stolen_seconds() -> float:
    """CPU time so far that the machine's host gave to others, in seconds."""
    return int(Path('/proc/stat').read_text().split()[8]) / TICKS


def objective(bank: str, images: int) -> float:
    """A deadline for requests of so many images, in milliseconds, from what the
    most accurate subnet takes for them."""
    net = open_bank(Source(bank))
    best = max(served_subnets(net, ()), key=lambda kept: kept.held_out_accuracy)
    latency = measure_grid(net, [best], images,
                           math.inf).latencies_ms[0][images]
    return float(f'{OBJECTIVE * latency:.2g}')


def slowness(answers: List[Answer],
             grids: Dict[str, Dict[str, float]]) -> Optional[float]:
    """How much longer batches took than the server measured at its start: of
    their whole time, so that each batch counts once.

    Args:
        answers: whose images say so.
        grids: of each subnet, milliseconds by the batch size.
    """
    took = expected = 0.
    for answer in answers:
        for image in answer.images:
            grid, size = grids[image['subnet']], image['batch']
            took += image['network_ms'] / size
            expected += float(
                np.interp(size, [int(key)
                                 for key in grid], list(grid.values()))) / size
    return round(took / expected, 3) if expected else None


def sliced_slowness(answers: List[Answer], grids: Dict[str, Dict[str, float]],
                    start: float, seconds: float) -> List[Optional[float]]:
    """:func:`slowness` of the requests that were sent in each :data:`SLICE` of
    a phase, which begins at ``start``; ``None`` where none was answered."""
    slices: List[List[Answer]] = [[] for _ in range(math.ceil(seconds / SLICE))]
    for answer in answers:
        slices[min(int((answer.sent - start) / SLICE),
                   len(slices) - 1)].append(answer)
    return [slowness(each, grids) for each in slices]


def summary(answers: List[Answer], slo_ms: float, accuracies: Dict[str, float],
            labels: Optional[List[int]], seconds: float) -> Dict[str, Any]:
    """Of the requests of a phase: shares in percent, latencies in ms."""
    answered = [a for a in answers if a.status == 200]
    good = [a for a in answered if a.ms <= slo_ms]
    times = [a.ms for a in answered]
    found = dict(
        requests=len(answers),
        in_time=100 * len(good) / max(len(answers), 1),
        refused=100 * sum(a.status == 503
                          for a in answers) / max(len(answers), 1),
        lost=sum(a.status not in (200, 503) for a in answers),
        problems=dict(Counter(a.problem for a in answers if a.problem)),
        second=sum(a.is_second for a in answers),
        p50=float(np.median(times)) if times else None,
        p99=float(np.percentile(times, 99)) if times else None,
        goodput=len(good) / seconds,
        accuracy=float(np.mean([accuracies[a.subnet]
                                for a in good])) if good else None)
    if labels is not None:
        right = [
            labels[a.first + i] == image['label'] for a in good
            for i, image in enumerate(a.images)
        ]
        found['labelled'] = 100 * float(np.mean(right)) if right else None
    return {
        key: round(value, 2) if isinstance(value, float) else value
        for key, value in found.items()
    }


def plot(series: Dict[str, List[Answer]], slo_ms: float,
         accuracies: Dict[str, float], seconds: float, path: str) -> None:
    """Draws arrivals, shares in time and accuracies over time."""
    figure, axes = plt.subplots(3, 1, figsize=(8, 7), sharex=True)
    # about ten requests in each, if there are few
    rarest = min(
        Counter(int(a.sent // seconds) for a in series['adaptive']).values())
    width = seconds / min(max(rarest // 10, 2), 12)
    edges = np.arange(0, max(a.sent for a in series['adaptive']) + width, width)
    middles = (edges[:-1] + edges[1:]) / 2
    for name, answers in series.items():
        place = np.digitize([a.sent for a in answers], edges) - 1
        good = np.array([a.status == 200 and a.ms <= slo_ms for a in answers])
        worth = np.array([accuracies.get(a.subnet, 0.) for a in answers])
        number = np.bincount(place, minlength=len(middles))[:len(middles)]
        in_time = np.bincount(place, good, len(middles))[:len(middles)]
        total = np.bincount(place, good * worth, len(middles))[:len(middles)]
        with np.errstate(invalid='ignore', divide='ignore'):
            if name == 'adaptive':
                axes[0].plot(middles, number / width, color='black')
            axes[1].plot(middles, 100 * in_time / number, label=name)
            axes[2].plot(middles, total / in_time, label=name)
    for axis, text in zip(
            axes, ('requests a second', f'answered within {slo_ms:g} ms (%)',
                   'accuracy of these (%)')):
        axis.set_ylabel(text)
        axis.grid(alpha=0.3)
    axes[1].legend()
    axes[2].set_xlabel('seconds')
    figure.tight_layout()
    figure.savefig(path, dpi=110)


class Traffic(NamedTuple):
    """What every server gets.

    Attributes:
        bodies: image files.
        labels: theirs, if there are any.
        images: in each request.
        rates: of the phases, times the capacity.
        seconds: of each phase.
        slo_ms: the objective.
    """
    bodies: List[bytes]
    labels: Optional[List[int]]
    images: int
    rates: Sequence[float]
    seconds: float
    slo_ms: float


class Served(NamedTuple):
    """What the first server says of its bank.

    Attributes:
        subnets: their accuracies and measured latencies.
        only: names of the subnets of each policy's server.
        capacity: the most accurate subnet's requests a second.
    """
    subnets: List[Dict[str, Any]]
    only: Dict[str, List[str]]
    capacity: float

    @property
    def accuracies(self) -> Dict[str, float]:
        """Of each subnet."""
        return {row['name']: row['held_out_accuracy'] for row in self.subnets}

    @property
    def grids(self) -> Dict[str, Dict[str, float]]:
        """Of each subnet, milliseconds by the batch size."""
        return {row['name']: row['latency_ms'] for row in self.subnets}


def served_by(server: Server, only: List[str], capacity: Optional[float],
              images: int) -> Served:
    """Asks a server for its subnets.

    Args:
        server: one of the adaptive policy, or of the follower.
        only: the subnets that it was told to serve; all if there are none.
        capacity: in requests a second, instead of what it has measured.
        images: in each request.
    """
    subnets = json.loads(server.get('/subnets'))['subnets']
    used = sorted((row for row in subnets if row['used']),
                  key=lambda row: row['held_out_accuracy'])
    return Served(
        subnets,
        dict(
            adaptive=only,
            follower=only,
            largest=[used[-1]['name']],
            smallest=[used[0]['name']]), capacity
        or used[-1]['capacity'] / images)


def send(server: Server, traffic: Traffic, capacity: float,
         seed: int) -> Tuple[List[Answer], Dict[str, float]]:
    """Sends all requests of a run; says what became of them, and what the
    machine's cores did meanwhile."""
    times = arrivals(capacity, traffic.seconds, seed, traffic.rates)
    before, cpu = time.process_time(), server.cpu_seconds()
    load, stolen = os.getloadavg()[0], stolen_seconds()
    gc.collect()
    gc.freeze()  # or looking through it would take 0.2 s once
    answers = asyncio.run(
        Client(server.port, traffic.bodies, traffic.images,
               max(10., traffic.slo_ms / 50)).send(times))
    duration = len(traffic.rates) * traffic.seconds
    return answers, dict(
        client_cores=round((time.process_time() - before) / duration, 2),
        stolen_cores=round((stolen_seconds() - stolen) / duration, 3),
        load_before=round(load, 2),
        **{
            f'{name}_cpu_ms': round(1e3 * (now - cpu[name]) / len(times), 3)
            for name, now in server.cpu_seconds().items()
        })


def rows_of(answers: List[Answer], traffic: Traffic, served: Served, seed: int,
            policy: str, machine: Dict[str, float]) -> List[Dict[str, Any]]:
    """What became of the requests of each phase of a run."""
    found = []
    for phase, rate in enumerate(traffic.rates):
        mine = [a for a in answers if int(a.sent // traffic.seconds) == phase]
        found.append(
            dict(
                run=seed,
                policy=policy,
                phase=phase,
                rate=rate,
                **machine,
                slower=slowness(mine, served.grids),
                slices=sliced_slowness(mine, served.grids,
                                       phase * traffic.seconds,
                                       traffic.seconds),
                **summary(mine, traffic.slo_ms, served.accuracies,
                          traffic.labels, traffic.seconds)))
        print(tabulate([_shown(found[-1]).values()]), flush=True)
    return found


def _shown(row: Dict[str, Any]) -> Dict[str, Any]:
    """Without what a table has no room for."""
    return {key: value for key, value in row.items() if key != 'slices'}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bank', help='the folder of a bank or a device bank')
    parser.add_argument(
        '--slo-ms',
        type=float,
        help=f'(default: {OBJECTIVE} times what the most accurate subnet takes '
        'for a request)')
    parser.add_argument(
        '--seconds', type=float, default=10., help='of each of 4 phases')
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument(
        '--capacity',
        type=float,
        help="the most accurate subnet's requests a second (default: what the "
        'server measures at the start)')
    parser.add_argument('--images', type=int, default=1, help='in each request')
    parser.add_argument(
        '--side', type=int, default=256, help='of drawn images, in pixels')
    parser.add_argument(
        '--fashion-mnist',
        metavar='DIR',
        help='send its labelled test images instead of drawn ones')
    parser.add_argument(
        '--folder',
        metavar='DIR',
        help='send labelled images instead of drawn ones, from a folder with a '
        'folder for each class')
    parser.add_argument(
        '--only', nargs='+', default=[], help='subnets of the adaptive server')
    parser.add_argument(
        '--policies', nargs='+', default=POLICIES, choices=POLICIES)
    parser.add_argument(
        '--rates',
        type=float,
        nargs='+',
        default=RATES,
        help="of the phases, times the most accurate subnet's capacity "
        '(default: %(default)s)')
    parser.add_argument('--max-batch', type=int, default=8)
    parser.add_argument('--http-processes', type=int, default=1)
    parser.add_argument('--beside', default='', help='what else runs, in words')
    parser.add_argument('--out', default='benchmarks/results/serving.json')
    parser.add_argument('--plot', default='')
    args = parser.parse_args()
    check_number('--seconds', args.seconds, above=0)
    check_integer('--runs', args.runs, 1)
    check_integer('--images', args.images, 1, 50)
    slo_ms = args.slo_ms
    if slo_ms is None:
        slo_ms = objective(args.bank, args.images)
    check_number('--slo-ms', slo_ms, above=0)
    # each connection is an open file
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    labels = None
    if args.fashion_mnist:
        bodies, labels = labelled_images(args.fashion_mnist, 1000)
    elif args.folder:
        bodies, labels = folder_images(args.folder, 1000)
    else:
        bodies = drawn_images(50, args.side)
    traffic = Traffic(bodies, labels, args.images, args.rates, args.seconds,
                      slo_ms)
    options = [
        '--max-batch',
        str(args.max_batch), '--max-images',
        str(args.images), '--http-processes',
        str(args.http_processes)
    ]
    rows: List[Dict[str, Any]] = []
    series: Dict[str, List[Answer]] = {}
    served: Optional[Served] = None
    for seed in range(args.runs):
        for policy in args.policies:
            how = ['--policy', 'follower'] if policy == 'follower' else []
            only = args.only if served is None else served.only[policy]
            with Server(args.bank, slo_ms, only, [*options, *how]) as server:
                served = served or served_by(server, args.only, args.capacity,
                                             args.images)
                answers, machine = send(server, traffic, served.capacity, seed)
            series.setdefault(policy, answers)
            rows += rows_of(answers, traffic, served, seed, policy, machine)
    assert served is not None
    print(tabulate([_shown(row) for row in rows], headers='keys'))
    write_json(
        dict(
            slo_ms=slo_ms,
            http_processes=args.http_processes,
            seconds=args.seconds,
            images=args.images,
            rates=args.rates,
            capacity=served.capacity,
            cores=os.cpu_count(),
            beside=args.beside,
            subnets=served.subnets,
            rows=rows), args.out)
    if args.plot:
        plot(series, slo_ms, served.accuracies, args.seconds, args.plot)


if __name__ == '__main__':
    run(main)
