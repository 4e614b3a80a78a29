"""One training iteration of a supernet against plain networks.

The other side is a hand-written loop over three plain networks of the same
widths: forward with the same losses, backward, and one optimizer step for the
largest. Both sides take turns; the ratio is that of the medians.
"""

import argparse
import copy
import statistics
import time

import numpy as np
import torch
from mmpretrain.structures import DataSample
from torch.nn import functional

from pss.apis import init_model, load_config
from pss.deploy import extract, extracted_config
from pss.deploy.extraction import model_config
from pss.engine import SandwichOptimWrapper
from pss.models.classifiers.supernet_classifier import divergence
from pss.resources import flops_table
from pss.sampling import PrioritizedSampler
from pss.structures import budgets_of


def sgd(model):
    """One group for each parameter, as a weight-decay rule makes them."""
    return torch.optim.SGD([dict(params=[p]) for p in model.parameters()],
                           lr=1e-3,
                           momentum=0.9,
                           nesterov=True)


def main():
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


def measure(path, args):
    """Prints one config's figures."""
    config = load_config(path)
    model = init_model(config, device=args.device)
    flops = flops_table(model)
    budgets = budgets_of('flops',
                         **config.default_hooks.pss_sampler.budgets['flops'])
    sampler = PrioritizedSampler(model.search_space, {'flops': flops}, budgets)
    middle = len(sampler.pools) // 2
    sampled = sampler.fresh(budgets[middle], np.random.default_rng(0))[0]
    plan, _ = sampler.plan(0, 0, 0.)
    plan = tuple(
        p._replace(subnet=sampled) if p.name == 'sampled' else p for p in plan)

    plain = []
    for _, subnet in plan:
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

    def supernet_iteration():
        model.train_step(
            dict(inputs=images, data_samples=copy.copy(samples)), wrapper)

    def plain_iteration():
        inputs = model.data_preprocessor(dict(inputs=images), True)['inputs']
        teacher = None
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

    times = {supernet_iteration: [], plain_iteration: []}
    for i in range(args.rounds + 1):
        for iteration, seconds in times.items():
            start = time.perf_counter()
            iteration()
            if args.device != 'cpu':
                torch.cuda.synchronize()
            if i:  # the first warms up
                seconds.append(time.perf_counter() - start)
    ours, theirs = (statistics.median(t) for t in times.values())

    start = time.perf_counter()
    num = 200
    for i in range(num):
        passes, pool = sampler.plan(0, i, 0.5)
        pool.update(passes[1].subnet, -1. - i / num)
    draw = (time.perf_counter() - start) / num
    print(
        f'{path}, batch {args.batch_size}, {args.device}: supernet '
        f'{ours:.3f} s, three plain networks {theirs:.3f} s, ratio '
        f'{ours / theirs:.3f}; sampler and pools {draw * 1e3:.3f} ms, '
        f'{draw / ours:.3%} of an iteration',
        flush=True)


if __name__ == '__main__':
    main()
