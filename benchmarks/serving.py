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
import io
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
from PIL import Image
from tabulate import tabulate

from pss.checks import check_integer, check_number
from pss.cli import run
from pss.errors import InputError
from pss.files import write_json
from pss.serving.served_bank import (
    Source,
    measure_grid,
    open_bank,
    served_subnets,
)

RATES = (0.5, 1.5, 3., 0.5)  # times the most accurate subnet's capacity
# the first one's server says which subnets are the largest and the smallest
POLICIES = ('adaptive', 'follower', 'largest', 'smallest')
TOOL = Path(__file__).parents[1] / 'tools' / 'deployment' / 'serve.py'
BOUNDARY = b'e5d1a7'
OBJECTIVE = 5  # times the most accurate subnet's latency
TICKS = os.sysconf('SC_CLK_TCK')  # a second, of the kernel's CPU times
# in Python 3.10 asyncio has a TimeoutError of its own
LOST = (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError)
Connection = Tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer(NamedTuple):
    """What became of a request.

    Attributes:
        sent: when it was due, in seconds from the beginning.
        ms: until the whole answer was read.
        status: of HTTP; 0 if there was no answer.
        images: what the server says of each: its class, which subnet answered
            it, in a batch of how many, and what that took.
        first: the index of the request's first image.
        problem: why there was no answer.
        is_second: whether the first attempt found a connection that the server
            had closed, since it was idle.
    """
    sent: float
    ms: float
    status: int
    images: List[Dict[str, Any]]
    first: int
    problem: str = ''
    is_second: bool = False

    @property
    def subnet(self) -> str:
        """That answered its first image."""
        return self.images[0]['subnet'] if self.images else ''


class Client:
    """Sends requests at given times over as many connections as it takes.

    Args:
        port: of the server.
        files: image files.
        images: so many of them are in a request.
        patience_s: until a request counts as lost.
    """

    def __init__(self,
                 port: int,
                 files: List[bytes],
                 images: int,
                 patience_s: float = 10.) -> None:
        self.port = port
        self.patience_s = patience_s
        self.images = images
        self.requests = [
            b'POST /predict?top=1 HTTP/1.1\r\nHost: a\r\n'
            b'Content-Type: multipart/form-data; boundary=%s\r\n'
            b'Content-Length: %d\r\n\r\n' % (BOUNDARY, len(body)) + body
            for body in (form(files[i:i + images])
                         for i in range(0,
                                        len(files) - images + 1, images))
        ]
        self.free: List[Connection] = []

    async def send(self, times: np.ndarray) -> List[Answer]:
        """Sends a request at each time, in seconds from now."""
        start = time.perf_counter()
        tasks = []
        for i, due in enumerate(times):
            wait = start + due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            tasks.append(
                asyncio.ensure_future(
                    self._one(start, due, i % len(self.requests))))
        found = await asyncio.gather(*tasks)
        for _, writer in self.free:
            writer.close()
        return list(found)

    async def _one(self, start: float, due: float, which: int) -> Answer:
        """A request; its latency counts from when it was due."""
        status, problem, is_second = 0, '', False
        value: Dict[str, Any] = {}
        try:
            status, value, is_second = await asyncio.wait_for(
                self._ask(which), self.patience_s)
        except LOST as error:
            problem = type(error).__name__
        return Answer(due, 1e3 * (time.perf_counter() - start - due), status,
                      value.get('predictions', []), which * self.images,
                      problem, is_second)

    async def _ask(self, which: int) -> Tuple[int, Dict[str, Any], bool]:
        """Status, body, and whether it took a second attempt.

        A server may close an idle connection while a request is on its way: a
        client of HTTP sends it again then, on a new one.
        """
        connection = self._idle()
        if connection is not None:
            try:
                return (*await self._ask_on(connection, which), False)
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    raise
            except ConnectionError:
                pass
        return (*await self._ask_on(
            await asyncio.open_connection('127.0.0.1', self.port), which),
                connection is not None)

    def _idle(self) -> Optional[Connection]:
        """A connection that the server has not closed, as far as is known."""
        while self.free:
            reader, writer = self.free.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return None

    async def _ask_on(self, connection: Connection,
                      which: int) -> Tuple[int, Dict[str, Any]]:
        reader, writer = connection
        is_kept = False
        try:
            writer.write(self.requests[which])
            head = (await reader.readuntil(b'\r\n\r\n')).lower()
            size = int(head.partition(b'content-length:')[2].split(b'\r')[0])
            content = await reader.readexactly(size)
            is_kept = b'connection: close' not in head
        finally:
            if is_kept:
                self.free.append(connection)
            else:
                writer.close()
        return int(head[9:12]), json.loads(content)


def form(files: List[bytes]) -> bytes:
    """A form upload of some files."""
    return b''.join(
        b'--%s\r\nContent-Disposition: form-data; name="image"; filename="a"'
        b'\r\n\r\n%s\r\n' % (BOUNDARY, file)
        for file in files) + b'--%s--\r\n' % BOUNDARY


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


def drawn_images(num: int, side: int) -> List[bytes]:
    """JPEG files of smooth random images."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(num):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize(
            (side, side)).save(buffer, 'JPEG')
        found.append(buffer.getvalue())
    return found


def labelled_images(folder: str, num: int) -> Tuple[List[bytes], List[int]]:
    """PNG files of Fashion-MNIST's test images, and their labels."""
    pixels = np.fromfile(f'{folder}/t10k-images-idx3-ubyte', np.uint8)[16:]
    labels = np.fromfile(f'{folder}/t10k-labels-idx1-ubyte', np.uint8)[8:]
    found = []
    for image in pixels.reshape(-1, 28, 28)[:num]:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, 'PNG')
        found.append(buffer.getvalue())
    return found, labels[:num].tolist()


def folder_images(folder: str, num: int) -> Tuple[List[bytes], List[int]]:
    """Files of a folder with a folder for each class, evenly spread, and their
    labels: the places of these folders by their names."""
    files = [(path, label) for label, inner in enumerate(
        sorted(path for path in Path(folder).iterdir() if path.is_dir()))
             for path in sorted(inner.iterdir())]
    if not files:
        raise InputError(f'--folder={folder}: no files; expected a folder for '
                         'each class')
    chosen = files[::max(len(files) // num, 1)][:num]
    return [path.read_bytes()
            for path, _ in chosen], [label for _, label in chosen]


def objective(bank: str, images: int) -> float:
    """A deadline for requests of so many images, in milliseconds, from what the
    most accurate subnet takes for them."""
    net = open_bank(Source(bank))
    best = max(served_subnets(net, ()), key=lambda kept: kept.held_out_accuracy)
    latency = measure_grid(net, [best], images,
                           math.inf).latencies_ms[0][images]
    return float(f'{OBJECTIVE * latency:.2g}')


def arrivals(capacity: float,
             seconds: float,
             seed: int,
             rates: Sequence[float] = RATES) -> np.ndarray:
    """Times of all phases, in seconds."""
    rng = np.random.default_rng(seed)
    return np.concatenate([
        seconds *
        (phase +
         np.sort(rng.uniform(0, 1, rng.poisson(rate * capacity * seconds))))
        for phase, rate in enumerate(rates)
    ])


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
    options = [
        '--max-batch',
        str(args.max_batch), '--max-images',
        str(args.images), '--http-processes',
        str(args.http_processes)
    ]
    rows: List[Dict[str, Any]] = []
    chosen: Dict[str, List[str]] = dict(adaptive=args.only, follower=args.only)
    capacity = args.capacity
    series: Dict[str, List[Answer]] = {}
    subnets: List[Dict[str, Any]] = []
    accuracies: Dict[str, float] = {}
    grids: Dict[str, Dict[str, float]] = {}
    for seed in range(args.runs):
        for policy in args.policies:
            how = ['--policy', 'follower'] if policy == 'follower' else []
            with Server(args.bank, slo_ms, chosen[policy],
                        [*options, *how]) as server:
                if not subnets:
                    subnets = json.loads(server.get('/subnets'))['subnets']
                    accuracies = {
                        row['name']: row['held_out_accuracy']
                        for row in subnets
                    }
                    grids = {row['name']: row['latency_ms'] for row in subnets}
                    used = sorted((row for row in subnets if row['used']),
                                  key=lambda row: row['held_out_accuracy'])
                    chosen['largest'] = [used[-1]['name']]
                    chosen['smallest'] = [used[0]['name']]
                    capacity = capacity or used[-1]['capacity'] / args.images
                times = arrivals(capacity, args.seconds, seed, args.rates)
                before = time.process_time()
                cpu = server.cpu_seconds()
                load, stolen = os.getloadavg()[0], stolen_seconds()
                gc.collect()
                gc.freeze()  # or looking through it would take 0.2 s once
                answers = asyncio.run(
                    Client(server.port, bodies, args.images,
                           max(10., slo_ms / 50)).send(times))
                took = {
                    f'{name}_cpu_ms':
                    round(1e3 * (now - cpu[name]) / len(times), 3)
                    for name, now in server.cpu_seconds().items()
                }
                client = time.process_time() - before
                stolen = stolen_seconds() - stolen
            duration = len(args.rates) * args.seconds
            series.setdefault(policy, answers)
            for phase, rate in enumerate(args.rates):
                mine = [
                    a for a in answers if int(a.sent // args.seconds) == phase
                ]
                rows.append(
                    dict(
                        run=seed,
                        policy=policy,
                        phase=phase,
                        rate=rate,
                        client_cores=round(client / duration, 2),
                        stolen_cores=round(stolen / duration, 3),
                        load_before=round(load, 2),
                        **took,
                        slower=slowness(mine, grids),
                        **summary(mine, slo_ms, accuracies, labels,
                                  args.seconds)))
                print(tabulate([list(rows[-1].values())]), flush=True)
    print(tabulate(rows, headers='keys'))
    write_json(
        dict(
            slo_ms=slo_ms,
            http_processes=args.http_processes,
            seconds=args.seconds,
            images=args.images,
            rates=args.rates,
            capacity=capacity,
            cores=os.cpu_count(),
            beside=args.beside,
            subnets=subnets,
            rows=rows), args.out)
    if args.plot:
        plot(series, slo_ms, accuracies, args.seconds, args.plot)


if __name__ == '__main__':
    run(main)
