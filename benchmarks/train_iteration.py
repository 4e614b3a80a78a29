"""One training iteration of a supernet against plain networks.

They are three of the same widths in a hand-written loop: forward with the same
losses, backward, and one optimizer step for the largest. Both sides take turns;
the ratio is that of the medians.
"""

import argparse
import copy
import statistics
import time
from typing import Callable, Dict, List, Optional, Sequence

import numpy as np
import torch
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn import functional

from pss.apis import init_model, load_config
from pss.deploy import extract, extracted_config
from pss.deploy.extraction import model_config
from pss.engine import SandwichOptimWrapper
from pss.models import SupernetClassifier
from pss.models.classifiers.distillation import KLDivergence
from pss.resources import flops_table
from pss.sampling import PrioritizedSampler
from pss.structures import budgets_of


def sgd(model: nn.Module) -> torch.optim.SGD:
    """One group for each parameter, as a weight-decay rule makes them."""
    return torch.optim.SGD([dict(params=[p]) for p in model.parameters()],
                           lr=1e-3,
                           momentum=0.9,
                           nesterov=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'configs',
        nargs='*',
        default=[
            f'configs/pss_{name}_imagenet.py'
            for name in ('mbv2', 'mbv1', 'r50')
        ])
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    for config in args.configs:
        measure(config, args)


def measure(path: str, args: argparse.Namespace) -> None:
    """Prints one config's figures."""
    config = load_config(path)
    model = init_model(config, device=args.device)
    assert isinstance(model, SupernetClassifier)
    flops = flops_table(model)
    budgets = budgets_of('flops',
                         **config.default_hooks.pss_sampler.budgets['flops'])
    sampler = PrioritizedSampler(model.search_space, {'flops': flops}, budgets)
    middle = len(sampler.pools) // 2
    sampled = sampler.fresh(budgets[middle], np.random.default_rng(0))[0]
    drawn, _ = sampler.plan(0, 0, 0.)
    plan = tuple(
        p._replace(subnet=sampled) if p.name == 'sampled' else p for p in drawn)

    plain = []
    for _, subnet, *_ in plan:
        plain_config = extracted_config(model_config(config), model, subnet)
        plain.append(extract(model, plain_config, subnet).to(args.device))
    size = model.search_space.largest.resolution
    images = torch.randn(args.batch_size, 3, size, size, device=args.device)
    labels = torch.randint(10, (args.batch_size, ), device=args.device)
    samples = [DataSample().set_gt_label(int(i)) for i in labels]
    model.train()
    for network in plain:
        network.train()
    wrapper = SandwichOptimWrapper(sgd(model))
    wrapper.plan = plan
    optimizer = sgd(plain[0])

    def supernet_iteration() -> None:
        model.train_step(
            dict(inputs=images, data_samples=copy.copy(samples)), wrapper)

    divergence = KLDivergence()

    def plain_iteration() -> None:
        inputs = model.data_preprocessor(dict(inputs=images), True)['inputs']
        teacher: Optional[Tensor] = None
        for network in plain:
            logits = network(inputs)
            if teacher is None:
                teacher = logits.detach()
                loss = functional.cross_entropy(logits, labels)
            else:
                loss = divergence(teacher, logits, False)
                functional.cross_entropy(logits.detach(), labels)
            loss.backward()
        optimizer.step()
        for network in plain:
            network.zero_grad()

    ours, theirs = median_seconds([supernet_iteration, plain_iteration],
                                  args.rounds, args.device)
    draw = seconds_of_sampling(sampler)
    print(
        f'{path}, batch {args.batch_size}, {args.device}: supernet '
        f'{ours:.3f} s, three plain networks {theirs:.3f} s, ratio '
        f'{ours / theirs:.3f}; sampler and pools {draw * 1e3:.3f} ms, '
        f'{draw / ours:.3%} of an iteration',
        flush=True)


def median_seconds(iterations: Sequence[Callable[[], None]], rounds: int,
                   device: str) -> List[float]:
    """Median times of some functions that take turns, after one warm-up each.
    """
    times: Dict[Callable[[], None], List[float]] = {i: [] for i in iterations}
    for turn in range(rounds + 1):
        for iteration, seconds in times.items():
            start = time.perf_counter()
            iteration()
            if device != 'cpu':
                torch.cuda.synchronize()
            if turn:
                seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in times.values()]


def seconds_of_sampling(sampler: PrioritizedSampler, num: int = 200) -> float:
    """Seconds that an iteration's draw and its pool's update take."""
    start = time.perf_counter()
    for i in range(num):
        passes, pool = sampler.plan(0, i, 0.5)
        assert pool is not None
        pool.update(passes[1].subnet, -1. - i / num)
    return (time.perf_counter() - start) / num


if __name__ == '__main__':
    main()
