"""How long calibrating and evaluating many subnets takes.

In seconds for one subnet and 1,000 images of the network's size, all subnets on
one batch: as it is done, where subnets share their first layers; each on its
own; and as it was first done, each on its own, channels first, with memory
given back to the system. Loading images is not included. Each way runs in its
own process, and they take turns. Writes ``benchmarks/results/evaluation.json``.
"""

import argparse
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor

from pss.allocator import keep_freed_memory
from pss.apis import init_model, load_config
from pss.cli import run
from pss.errors import InputError
from pss.files import write_json
from pss.models import SupernetClassifier, calibrate
from pss.models.shared_prefixes import SharedPrefixes
from pss.structures import Subnet

CONFIGS = ('configs/pss_mbv2_imagenet.py', 'configs/pss_mbv2_fashion_mnist.py')
WAYS = ('as it is done', 'each on its own', 'as it was first done')

Logits = Dict[Subnet, Tensor]


def drawn(model: SupernetClassifier, num: int) -> List[Subnet]:
    """Different subnets, uniformly at random."""
    space, rng = model.search_space, np.random.default_rng(0)
    found: Dict[Subnet, None] = {}
    while len(found) < min(num, space.size):
        found.update(dict.fromkeys(space.decode(space.random(rng, num))))
    return [*found][:num]


def measure(way: str, config: str, images: int,
            num: int) -> Tuple[float, float, Any]:
    """Calibrates and evaluates once, after a warm-up, in this process.

    Returns:
        Seconds for one subnet and 1,000 images of calibrating and of
        evaluating, and the logits of the first image by all subnets.
    """
    shared, first = way == WAYS[0], way == WAYS[2]
    if not first:
        keep_freed_memory()
    cfg = load_config(config)
    cfg.model.channels_last = not first
    torch.manual_seed(0)
    model = init_model(cfg)
    assert isinstance(model, SupernetClassifier)
    subnets = drawn(model, num)
    size = model.search_space.largest.resolution
    batch = torch.randn(images, model.input_channels, size, size)

    def calibrated(subnets: Sequence[Subnet]) -> Dict[Subnet, Any]:
        if shared:
            return calibrate(model, subnets, [batch])
        return {s: calibrate(model, [s], [batch])[s] for s in subnets}

    def evaluated(subnets: Sequence[Subnet]) -> Logits:
        order = SharedPrefixes(model, subnets, found) if shared else subnets
        logits: Logits = {}
        with torch.no_grad():
            for subnet in order:
                model.switch_to(subnet, found[subnet])
                logits[subnet] = model(batch, mode='tensor')
        return logits

    model.eval()
    found = calibrated(subnets[:2])
    evaluated(subnets[:2])  # warms up
    seconds, found = timed(calibrated, subnets)
    seconds_evaluating, logits = timed(evaluated, subnets)
    each = 1000 / images / len(subnets)
    return (seconds * each, seconds_evaluating * each,
            torch.stack([logits[s][0] for s in subnets]).numpy())


def timed(function: Callable[[Sequence[Subnet]], Any],
          subnets: Sequence[Subnet]) -> Tuple[float, Any]:
    """Seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    result = function(subnets)
    return time.perf_counter() - start, result


def compare(config: str, args: argparse.Namespace) -> Dict[str, Any]:
    """Measures all ways of a config, in turns."""
    times: Dict[str, List[Tuple[float, float]]] = {way: [] for way in WAYS}
    logits: Dict[str, Any] = {}
    spawn = multiprocessing.get_context('spawn')
    for _ in range(args.rounds):
        for way in WAYS:
            with ProcessPoolExecutor(1, spawn) as pool:
                calibrating, evaluating, logits[way] = pool.submit(
                    measure, way, config, args.images, args.subnets).result()
            times[way].append((calibrating, evaluating))
    rows = [
        dict(
            way=way,
            calibrating=round(statistics.median(c for c, _ in times[way]), 4),
            evaluating=round(statistics.median(e for _, e in times[way]), 4))
        for way in WAYS
    ]
    return dict(
        config=config,
        images=args.images,
        subnets=args.subnets,
        logits_are_equal=bool(np.array_equal(*(logits[w] for w in WAYS[:2]))),
        seconds=rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--configs', nargs='+', default=CONFIGS)
    parser.add_argument(
        '--images',
        type=int,
        default=64,
        help='of the batch (default: %(default)s)')
    parser.add_argument(
        '--subnets',
        type=int,
        default=32,
        help='so many at a time, as in a search (default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--out', default='benchmarks/results/evaluation.json')
    args = parser.parse_args()
    for name in ('images', 'subnets', 'rounds'):
        if getattr(args, name) < 1:
            raise InputError(f'--{name}={getattr(args, name)}: expected at '
                             'least 1')
    found = [compare(config, args) for config in args.configs]
    for result in found:
        print(f'{result["config"]}: {result["subnets"]} subnets, a batch of '
              f'{result["images"]} images; seconds for one subnet and 1,000 '
              'images. Shared or not, the logits are '
              f'{"equal" if result["logits_are_equal"] else "DIFFERENT"}.\n')
        print(tabulate(result['seconds'], headers='keys', floatfmt='.3g'))
        print()
    write_json(
        dict(
            torch=torch.__version__,
            threads=torch.get_num_threads(),
            results=found), args.out)


if __name__ == '__main__':
    run(main)
