"""How fast subnets are placed in pools, and drawn for a level."""

import argparse
import time

import numpy as np

from pss.apis import init_model, load_config
from pss.resources import Latency, flops_table
from pss.sampling import ConditionalSampler, place_budgets, read_budgets


def seconds(function):
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def report(what, model, table_of, levels, num):
    """Prints the figures of one resource."""
    start = time.perf_counter()
    cost = table_of(model)
    table = time.perf_counter() - start
    rng = np.random.default_rng(0)
    codes = model.search_space.random(rng, 1_000_000)
    cost(codes[:1000])
    placed = len(codes) / seconds(lambda: cost(codes))
    read = read_budgets(dict(cost=levels), ['cost'])
    budgets = place_budgets(read, dict(cost=cost))['cost']
    start = time.perf_counter()
    sampler = ConditionalSampler(cost, budgets)
    built = time.perf_counter() - start
    rates = {
        budget:
        num / seconds(lambda: sampler.draw(budget, rng, num))  # noqa: B023
        for budget in budgets
    }
    slowest = min(rates, key=rates.get)
    print(
        f'{what}: cost table in {table:.2f} s; {placed / 1e6:.1f} M subnets '
        f'placed a second; {len(budgets)} levels set up in {built:.2f} s; '
        f'slowest level {slowest.level:g} with {rates[slowest]:,.0f} draws a '
        'second',
        flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'configs',
        nargs='*',
        default=[
            f'configs/pss_{name}_imagenet.py'
            for name in ('mbv2', 'mbv1', 'r50')
        ])
    parser.add_argument(
        '--num', type=int, default=20_000, help='draws for each level')
    parser.add_argument(
        '--latency-table',
        default=None,
        help='also of 20 levels of this latency table')
    args = parser.parse_args()
    for path in args.configs:
        config = load_config(path)
        model = init_model(config)
        levels = config.default_hooks.pss_sampler.budgets['flops']
        report(path, model, flops_table, levels, args.num)
        if args.latency_table:
            report(args.latency_table, model,
                   Latency(args.latency_table).table, dict(pools=20), args.num)


if __name__ == '__main__':
    main()
