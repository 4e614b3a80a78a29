"""Training on a GPU: images a second and peak memory, against plain networks.

``make test-gpu`` runs it. For each network, precision and memory format, an
iteration as it is shipped takes its time beside the same passes in a loop
written by hand, three plain networks of the same widths that are trained
separately, the largest of them alone, and the shipped iteration in DDP with one
process (NCCL; gloo on a CPU). An iteration is a batch of random images at 224
pixels, in three passes where there are three; loading is not included.

With ``--compile``, the largest and the smallest pass, which never change, are
also captured as CUDA graphs or compiled, in the loop written by hand, in each
network's fastest setting. What fails, or is left out for lack of time, is a row
with its error.

Images a second are those of the median of three rounds of ``--iterations``; the
clock stops when the device is done. The peak is of torch's allocator, weights,
momentum and gradients included; it is null on a CPU.
"""

import argparse
import copy
import gc
import itertools
import re
import statistics
import tempfile
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

import torch
from iterations import (
    NETWORKS,
    Batch,
    Iteration,
    Run,
    apart,
    built,
    path_of,
    plain_networks,
    random_batch,
    runs_of,
    shipped,
    together,
    typical_plan,
)
from tabulate import tabulate
from torch import nn

from pss.cli import run
from pss.engine.precision import amp_type
from pss.errors import InputError
from pss.files import write_json
from pss.models import SupernetClassifier
from pss.models.distributed import SupernetDistributedDataParallel
from pss.sampling import Pass

WAYS = ('supernet', 'loop', 'three plain', 'largest alone', 'one process')
COMPILED = ('graphs', 'default', 'reduce-overhead')
# what SandwichOptimWrapper calls them
AMP = dict(float32=None, tf32=None, bfloat16='bfloat16', float16='float16')
WARM_UP = ROUNDS = 3
LEFT_OUT = 'left out'

Row = Dict[str, Any]


class Setting(NamedTuple):
    """How a network is trained."""
    network: str
    precision: str
    memory_format: str


class Networks(NamedTuple):
    """A supernet, an iteration's passes and their plain networks; on the CPU,
    so that what is measured has the device's memory for itself."""
    supernet: SupernetClassifier
    plan: Sequence[Pass]
    plain: List[nn.Module]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--device',
        choices=['cpu', 'cuda'],
        default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument(
        '--networks', nargs='+', default=NETWORKS, choices=NETWORKS)
    parser.add_argument(
        '--precisions', nargs='+', default=list(AMP), choices=list(AMP))
    parser.add_argument(
        '--memory-formats',
        nargs='+',
        default=['channels_last', 'contiguous'],
        choices=['channels_last', 'contiguous'])
    parser.add_argument(
        '--compile',
        nargs='+',
        default=[],
        choices=COMPILED,
        help="graphs are CUDA graphs, the others torch.compile's modes "
        '(default: none)')
    parser.add_argument(
        '--batch-size', type=int, help='default: 128 on a GPU, 2 on a CPU')
    parser.add_argument(
        '--iterations',
        type=int,
        help='of a round (default: 5 on a GPU, 1 on a CPU)')
    parser.add_argument(
        '--minutes',
        type=float,
        default=6.5,
        help='nothing more is begun after them (default: %(default)s)')
    parser.add_argument(
        '--out',
        help='default: gpu_NAME.json in benchmarks/results; in work_dirs if '
        'the device is a CPU')
    args = parser.parse_args()
    on_gpu = args.device == 'cuda'
    if on_gpu and not torch.cuda.is_available():
        raise InputError('--device=cuda: torch finds no GPU; expected cpu')
    args.batch_size = args.batch_size or (128 if on_gpu else 2)
    args.iterations = args.iterations or (5 if on_gpu else 1)
    name = torch.cuda.get_device_name() if on_gpu else 'cpu'
    slug = re.sub(r'\W+', '_', name.lower())
    folder = 'benchmarks/results' if on_gpu else 'work_dirs'
    out = Path(args.out or f'{folder}/gpu_{slug}.json')
    about = dict(
        device=name,
        torch=torch.__version__,
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),
        batch_size=args.batch_size,
        iterations=args.iterations)
    rows: List[Row] = []
    for row in measured(args):
        rows.append(row)
        print(_line(row), flush=True)
        # after each, since a crash of the GPU's driver ends the process
        write_json(dict(about, rows=rows), out)
    print(table_of(rows))
    print(out)
    if any(_failed(row) and row['way'] in WAYS for row in rows):
        raise SystemExit('some settings failed: see above')


def measured(args: argparse.Namespace) -> Iterator[Row]:
    """A row for each setting and way; those that are compiled come last."""
    end = time.monotonic() + 60 * args.minutes
    networks = {name: networks_of(name) for name in args.networks}
    speeds: Dict[Setting, float] = {}
    for setting in settings_of(args):
        for way in WAYS:
            row = measure(networks[setting.network], setting, way, args, end)
            if way == WAYS[0] and row['images_per_second']:
                speeds[setting] = row['images_per_second']
            yield row
    for way in args.compile:
        for name in args.networks:
            mine = [setting for setting in speeds if setting.network == name]
            if mine:
                yield measure(networks[name], max(mine, key=speeds.__getitem__),
                              way, args, end)


def settings_of(args: argparse.Namespace) -> List[Setting]:
    """All settings; if the time is too short, all networks lack the last."""
    return [
        Setting(*setting[::-1]) for setting in itertools.product(
            args.memory_formats, args.precisions, args.networks)
    ]


def networks_of(name: str) -> Networks:
    """A network's supernet and plain networks."""
    config, model = built(path_of(name))
    plan, _ = typical_plan(config, model)
    return Networks(model, plan, plain_networks(config, model, plan))


def measure(networks: Networks, setting: Setting, way: str,
            args: argparse.Namespace, end: float) -> Row:
    """A row: seconds of the rounds' iterations, images a second, peak memory in
    MiB; or the error, after which there are none of these.

    Args:
        networks: the network's.
        setting: how it is trained.
        way: one of ``WAYS`` or ``COMPILED``.
        args: the script's arguments.
        end: the monotonic clock's time, in seconds, after which nothing begins.
    """
    row: Row = dict(
        setting._asdict(),
        way=way,
        images_per_second=None,
        peak_mib=None,
        seconds=None,
        error=None)
    if time.monotonic() > end:
        return dict(row, error=f'{LEFT_OUT}: over {args.minutes} minutes')
    try:
        with _precision(setting.precision):
            seconds, peak = _measure(networks, setting, way, args)
    except Exception as error:  # the other settings may work
        traceback.print_exc()
        text = f'{type(error).__name__}: {error}'.strip()
        return dict(row, error=text.splitlines()[0][:300])
    return dict(
        row,
        images_per_second=args.batch_size / statistics.median(seconds),
        peak_mib=peak,
        seconds=seconds)


def _measure(networks: Networks, setting: Setting, way: str,
             args: argparse.Namespace) -> Any:
    """Seconds an iteration, of each round, and the peak in MiB."""
    on_gpu = args.device == 'cuda'
    torch.manual_seed(0)
    gc.collect()
    before = 0
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    batch = random_batch(networks.supernet, args.batch_size, args.device)
    with one_process(args.device, way == 'one process'):
        iteration = iteration_of(networks, setting, way, batch)
        for _ in range(WARM_UP if on_gpu else 1):
            iteration(batch)
        seconds = []
        for _ in range(ROUNDS):
            _wait(on_gpu)
            begun = time.perf_counter()
            for _ in range(args.iterations):
                iteration(batch)
            _wait(on_gpu)
            seconds.append((time.perf_counter() - begun) / args.iterations)
    peak = (torch.cuda.max_memory_allocated() - before) / 2**20 \
        if on_gpu else None
    return seconds, peak


def iteration_of(networks: Networks, setting: Setting, way: str,
                 batch: Batch) -> Iteration:
    """What is measured, with copies of the networks on the batch's device."""
    amp = AMP[setting.precision]
    device = batch.images.device
    memory_format = getattr(
        torch, setting.memory_format.replace('contiguous', 'contiguous_format'))

    def moved(network: nn.Module) -> Any:
        copied: Any = copy.deepcopy(network)
        if isinstance(copied, SupernetClassifier):
            copied.memory_format = memory_format
        return copied.to(device, memory_format=memory_format)

    if way == 'three plain':
        return apart([moved(network) for network in networks.plain], amp)
    if way == 'largest alone':
        return apart([moved(networks.plain[0])], amp)
    model, plan = moved(networks.supernet), networks.plan
    if way == 'supernet':
        return shipped(model, plan, amp)
    if way == 'one process':
        return shipped(
            SupernetDistributedDataParallel(model, [device.index or 0]), plan,
            amp)
    runs = runs_of(model, plan) if way == 'loop' else \
        fixed_runs(model, plan, way, batch, amp)
    return together(runs, [model], amp)


def fixed_runs(model: SupernetClassifier, plan: Sequence[Pass], way: str,
               batch: Batch, amp: Optional[str]) -> List[Run]:
    """A supernet's passes, of which those that never change are captured or
    compiled.

    Args:
        model: the supernet, in training mode.
        plan: its passes.
        way: one of ``COMPILED``.
        batch: of the size that is trained on.
        amp: as for :class:`.SandwichOptimWrapper`.
    """
    compiled: Any = None
    if way != 'graphs':
        compiled = torch.compile(model, dynamic=False, mode=way)
    forwards: List[Run] = []
    for planned in plan:
        if planned.name == 'sampled':
            forwards.append(model.__call__)
        elif compiled is not None:
            forwards.append(compiled)
        else:
            model.switch_to(planned.subnet)
            # weights that autocast remembers would not be in the graph
            with torch.autocast(
                    batch.images.device.type,
                    amp_type(amp),
                    enabled=amp is not None,
                    cache_enabled=False):
                graphed: Any = torch.cuda.make_graphed_callables(
                    _Pass(model), (torch.empty_like(batch.images), ))
            forwards.append(graphed)
    return runs_of(model, plan, forwards)


class _Pass(nn.Module):
    """A module of its own for each pass, since capturing one replaces its
    ``forward``."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images)


@contextmanager
def one_process(device: str, wanted: bool = True) -> Iterator[None]:
    """A process group of this process alone, if it is wanted: NCCL's on a GPU,
    gloo's on a CPU."""
    if not wanted:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.distributed.init_process_group(
            'nccl' if device == 'cuda' else 'gloo',
            init_method=f'file://{folder}/store',
            rank=0,
            world_size=1)
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()


@contextmanager
def _precision(name: str) -> Iterator[None]:
    """Lets a GPU use TF32 if that is the precision, and only then; by default
    torch does in convolutions."""
    backends: Any = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = name == 'tf32'
        yield
    finally:
        for backend, value in zip(backends, before):
            backend.allow_tf32 = value


def _wait(on_gpu: bool) -> None:
    """Until the GPU is done."""
    if on_gpu:
        torch.cuda.synchronize()


def _failed(row: Row) -> bool:
    """Whether a row was begun and has no figures."""
    return bool(row['error']) and not row['error'].startswith(LEFT_OUT)


def _line(row: Row) -> str:
    """A row in words."""
    found = row['error'] or f'{row["images_per_second"]:.1f} images/s'
    memory = f', {row["peak_mib"]:.0f} MiB' if row['peak_mib'] else ''
    return f'{row["network"]}, {row["precision"]}, {row["memory_format"]}, ' \
        f'{row["way"]}: {found}{memory}'


def table_of(rows: Sequence[Row]) -> str:
    """The shipped iteration in each setting, relative to others: how many times
    as many images a second, and how many times the memory."""
    found = {
        (Setting(*(row[key] for key in Setting._fields)), row['way']): row
        for row in rows
    }

    def ratio(setting: Setting, way: str, key: str) -> Optional[float]:
        ours, other = (
            found.get((setting, w), {}).get(key) for w in (WAYS[0], way))
        return ours / other if ours and other else None

    return tabulate([[
        *setting, found[setting, WAYS[0]]['images_per_second'],
        *(ratio(setting, way, 'images_per_second')
          for way in WAYS[1:]), *(ratio(setting, way, 'peak_mib')
                                  for way in WAYS[2:4])
    ] for setting in dict.fromkeys(setting for setting, _ in found)],
                    headers=[
                        *Setting._fields, 'images/s',
                        *(f'by {way}' for way in WAYS[1:]),
                        *(f'memory by {way}' for way in WAYS[2:4])
                    ],
                    floatfmt='.3g')


if __name__ == '__main__':
    run(main)
