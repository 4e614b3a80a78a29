"""A bank's size, its switches, and its forward passes against extracted ones.

The bank has a subnet for each pool of a config, drawn at random, and random
weights. After a switch, the forward pass takes turns with that of the extracted
plain network; the ratio is that of the medians.
"""

import argparse
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np
import torch
from mmengine.config import ConfigDict
from torch import nn

from pss.apis import AdaptiveClassifier, init_model, load_config
from pss.deploy import Bank, KeptSubnet, extract, extracted_config, write_bank
from pss.deploy.bank_hook import kept_config, versions, weights_of
from pss.models import SupernetClassifier, calibrate
from pss.resources import flops_table
from pss.sampling import ConditionalSampler
from pss.structures import Subnet, budgets_of


def random_bank(path: str, every: int = 1) -> Tuple[SupernetClassifier, Bank]:
    """A supernet with random weights, and its bank, a subnet for each pool, or
    for each of so many."""
    config = load_config(path)
    model = init_model(config)
    assert isinstance(model, SupernetClassifier)
    space, flops = model.search_space, flops_table(model)
    rng = np.random.default_rng(0)
    budgets = budgets_of('flops',
                         **config.default_hooks.pss_sampler.budgets['flops'])
    sampler = ConditionalSampler(flops, budgets)
    named: Dict[str, Tuple[Subnet, Optional[float]]] = {
        'smallest': (space.smallest, None)
    }
    for budget in budgets[::every]:
        subnet = space.decode(sampler.draw(budget, rng))[0]
        named[str(budget)] = subnet, budget.level
    named['largest'] = space.largest, None
    size = space.largest.resolution
    images = torch.randn(2, 3, size, size)
    subnets = list(dict.fromkeys(subnet for subnet, _ in named.values()))
    kept = []
    for i, (name, (subnet, level)) in enumerate(named.items()):
        cost = float(flops(space.encode([subnet]))[0])
        kept.append(
            KeptSubnet(name, subnet, dict(flops=cost), 60. + i, 60. + i,
                       *((None, None) if level is None else ('flops', level))))
    samples = torch.randint(256, (2, 3, size, size), dtype=torch.uint8)
    return model, Bank(
        model=kept_config(config),
        classes=None,
        pipeline=[dict(step) for step in config.test_pipeline],
        input_shape=(3, size, size),
        resources=dict(flops='MFLOPs'),
        metric='top1',
        kept=tuple(kept),
        weights=weights_of(model),
        statistics=calibrate(model, subnets, [images]),
        samples=samples,
        versions=versions())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'configs', nargs='*', default=['configs/pss_mbv2_imagenet.py'])
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--subnets',
        type=int,
        default=4,
        help='so many have their forward passes timed (default: %(default)s)')
    parser.add_argument(
        '--rounds',
        type=int,
        default=30,
        help='forward passes of each at batch 1; a fifth of it at the larger '
        'batch (default: %(default)s)')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=32,
        help='the larger batch (default: %(default)s)')
    parser.add_argument(
        '--switches',
        type=int,
        default=20_000,
        help='switches that are timed (default: %(default)s)')
    args = parser.parse_args()
    torch.set_num_threads(1)
    for config in args.configs:
        measure(config, args)


def measure(path: str, args: argparse.Namespace) -> None:
    """Prints one config's figures."""
    model, bank = random_bank(path)
    with tempfile.TemporaryDirectory() as folder:
        write_bank(bank, Path(folder, 'bank'))
        size = sum(f.stat().st_size for f in Path(folder, 'bank').iterdir())
        start = time.perf_counter()
        net = AdaptiveClassifier(Path(folder, 'bank'), args.device)
        loading = time.perf_counter() - start
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    print(
        f'{path}, {len(bank.kept)} subnets: bank {size / 1e6:.2f} MB, '
        f'{size / weights:.3f} of the weights; loaded in {loading:.1f} s, '
        f'{net.copied_bytes / 1e6:.0f} MB of contiguous copies',
        flush=True)

    switches(net, args.switches)
    places = np.linspace(0, len(net.subnets) - 1, args.subnets)
    kept = [net.subnets[i] for i in places.round().astype(int)]
    plain = {}
    for entry in kept:
        config = extracted_config(ConfigDict(bank.model), model, entry.subnet)
        plain[entry] = extract(model, config, entry.subnet,
                               bank.statistics[entry.subnet]).to(args.device)
    for batch, rounds in ((1, args.rounds), (args.batch_size,
                                             max(args.rounds // 5, 3))):
        forward(net, plain, batch, rounds, args.device)


def switches(net: AdaptiveClassifier, num: int) -> None:
    """Times switches, and measures how much memory they leave behind."""
    rng = np.random.default_rng(0)
    low = net.subnets[0].costs['flops']
    limits = rng.uniform(low, 1.1 * net.subnets[-1].costs['flops'], num)
    for limit in limits[:1000]:
        net.switch(flops=limit)
    times = []
    for limit in limits:
        start = time.perf_counter()
        net.switch(flops=limit)
        times.append(time.perf_counter() - start)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for limit in limits:
        net.switch(flops=limit)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    median, high = np.percentile(times, [50, 99]) * 1e3
    print(
        f'  a switch: median {median:.4f} ms, 99th percentile {high:.4f} '
        f'ms; {grown} bytes more after {num} of them',
        flush=True)


@torch.no_grad()
def forward(net: AdaptiveClassifier, plain: Mapping[KeptSubnet, nn.Module],
            batch: int, rounds: int, device: str) -> None:
    """Prints the bank's forward times relative to the extracted networks'."""
    images = torch.randn(batch, *net.input_shape, device=device)
    ratios, differences, medians = [], [], []
    for entry, network in plain.items():
        net.switch(entry)
        times: Dict[Callable[..., Any], List[float]] = {
            net.logits: [],
            network: []
        }
        for i in range(rounds + 2):
            # each goes first every other time
            for run in list(times)[::-1 if i % 2 else 1]:
                start = time.perf_counter()
                logits = run(images)
                if device != 'cpu':
                    torch.cuda.synchronize()
                if i > 1:  # the first two warm up
                    times[run].append(time.perf_counter() - start)
        differences.append((net.logits(images) - network(images)).abs().max())
        ours, theirs = (statistics.median(t) for t in times.values())
        ratios.append(ours / theirs)
        medians.append(ours)
        del logits
    print(
        f'  forward, batch {batch}: {statistics.median(ratios):.3f} of the '
        f'extracted networks\' time ({min(ratios):.3f} to '
        f'{max(ratios):.3f} over {len(ratios)} subnets of '
        f'{min(medians) * 1e3:.1f} to {max(medians) * 1e3:.1f} ms), logits '
        f'differ by {max(differences):.1g}',
        flush=True)


if __name__ == '__main__':
    main()
