"""What an ImageNet training exchanges and takes on several GPUs: an estimate.

Counted: the gradients' bytes, the batch norms, what the passes of an iteration
cost relative to the largest subnet's alone (in FLOPs). Measured with
``--measure``: the same ratio in time, and how many images a core of this CPU
loads. Assumed, to be replaced by your own figures: how many images one GPU
trains of the largest subnet alone, and the network between the GPUs.
"""

import argparse
import statistics
import time
from typing import List, Tuple

import numpy as np
import torch
from loading import measure as measure_loading
from mmengine.config import Config
from mmpretrain.structures import DataSample
from tabulate import tabulate

from pss.apis import init_model, load_config
from pss.engine import SandwichOptimWrapper
from pss.models import SupernetClassifier
from pss.resources import flops_table
from pss.sampling import ConditionalSampler, Pass
from pss.structures import CostTable, Subnet, budgets_of

EPOCHS, IMAGES = 250, 1_281_167 * 49 // 50  # one image in 50 is held out
# images a second that one GPU trains of the largest subnet alone
ASSUMED = {'mbv1': 3000., 'mbv2': 2500., 'r50': 2500.}


def mean_subnet(config: Config,
                model: SupernetClassifier,
                flops: CostTable,
                number: int = 2000) -> Tuple[float, Subnet]:
    """Mean MFLOPs of subnets drawn for all pools, and one of about that size.
    """
    space = model.search_space
    budgets = budgets_of('flops',
                         **config.default_hooks.pss_sampler.budgets['flops'])
    sampler = ConditionalSampler(flops, budgets)
    rng = np.random.default_rng(0)
    codes = np.concatenate([
        sampler.draw(budget, rng, number // len(budgets)) for budget in budgets
    ])
    costs = flops(codes)
    nearest = np.abs(costs - costs.mean()).argmin()
    return float(costs.mean()), space.decode(codes[nearest:nearest + 1])[0]


def measured_ratio(model: SupernetClassifier, sampled: Subnet, batch_size: int,
                   rounds: int) -> float:
    """Seconds of an iteration over those of a step of the largest alone."""
    space = model.search_space
    size = space.largest.resolution
    data = dict(
        inputs=torch.randn(batch_size, 3, size, size),
        data_samples=[DataSample().set_gt_label(0)] * batch_size)
    largest = Pass('largest', space.largest)
    smaller = Pass('sampled', sampled), Pass('smallest', space.smallest)
    plans = [(largest, *smaller), (largest, )]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    seconds: Tuple[List[float], List[float]] = [], []
    model.train()
    for i in range(rounds + 1):
        for plan, taken in zip(plans, seconds):
            wrapper = SandwichOptimWrapper(optimizer)
            wrapper.plan = plan
            start = time.perf_counter()
            model.train_step(dict(data), wrapper)
            if i:  # the first warms up
                taken.append(time.perf_counter() - start)
    return statistics.median(seconds[0]) / statistics.median(seconds[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('networks', nargs='*', default=list(ASSUMED))
    parser.add_argument('--gpus', type=int, nargs='+', default=[8, 64])
    parser.add_argument(
        '--images-per-second',
        type=float,
        help='that one GPU trains of the largest subnet alone '
        f'(default: {ASSUMED})')
    parser.add_argument(
        '--bandwidth',
        type=float,
        nargs='+',
        default=[100., 10.],
        help='GB/s that a GPU sends, for each of --gpus '
        '(default: %(default)s: links between the GPUs of a '
        'node; one card of 100 Gbit/s in every node)')
    parser.add_argument(
        '--latency',
        type=float,
        default=50.,
        help='microseconds of a collective '
        '(default: %(default)s)')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=128,
        help='of a GPU (default: %(default)s)')
    parser.add_argument(
        '--measure',
        type=int,
        metavar='ROUNDS',
        default=0,
        help='time so many iterations on this CPU (default: none)')
    parser.add_argument(
        '--measured-batch-size',
        type=int,
        default=8,
        help='of those (default: %(default)s)')
    parser.add_argument(
        '--measured-images',
        type=int,
        default=100,
        help='loaded to time that too (default: %(default)s)')
    args = parser.parse_args()
    if args.measure:
        found = measure_loading(args.measured_images, 1)
        print(
            f'loading and augmenting: {found["rates"]["ours"][0]:.0f} images a '
            f'second a core (JPEG files of {found["kb"]:.0f} kB)',
            flush=True)
    rows = []
    for name in args.networks:
        config = load_config(f'configs/pss_{name}_imagenet.py')
        model = init_model(config)
        assert isinstance(model, SupernetClassifier)
        flops = flops_table(model)
        space = model.search_space
        ends = flops(space.encode([space.largest, space.smallest]))
        mean, sampled = mean_subnet(config, model, flops)
        ratio = (ends.sum() + mean) / ends[0]
        parameters = sum(p.numel() for p in model.parameters())
        print(
            f'{name}: {4 * parameters / 1e6:.1f} MB of gradients, '
            f'{len(model.norms)} batch norms; largest {ends[0]:.0f}, drawn '
            f'{mean:.0f} on average, smallest {ends[1]:.0f} MFLOPs: an '
            f'iteration is {ratio:.2f} of the largest alone',
            flush=True)
        if args.measure:
            batch_size = args.measured_batch_size
            measured = measured_ratio(model, sampled, batch_size, args.measure)
            print(
                f'{name}: measured on this CPU, batch {batch_size}: '
                f'{measured:.2f}',
                flush=True)
        speed = args.images_per_second or ASSUMED[name]
        for gpus, bandwidth in zip(args.gpus, args.bandwidth):
            compute = args.batch_size * ratio / speed
            # a ring; the last pass hides some of it, which is not counted
            exchange = 2 * (gpus - 1) / gpus * 4 * parameters / (
                bandwidth * 1e9) + 6 * args.latency / 1e6
            iterations = IMAGES // (args.batch_size * gpus) * EPOCHS
            rows.append([
                name, gpus, iterations, compute * 1e3, exchange * 1e3,
                gpus * args.batch_size / (compute + exchange),
                iterations * (compute + exchange) / 3600
            ])
    print(
        tabulate(
            rows,
            floatfmt=('', '', ',', '.0f', '.2f', ',.0f', '.1f'),
            headers=[
                'network', 'GPUs', 'iterations', 'compute, ms', 'exchange, ms',
                'images/s', 'hours'
            ]))


if __name__ == '__main__':
    main()
