"""How fast subnets are placed in pools, and drawn for a level."""

import argparse
import time

import numpy as np

from pss.apis import init_model, load_config
from pss.engine.hooks.pss_sampler_hook import parse_budgets
from pss.resources import flops_table
from pss.sampling import ConditionalSampler


def seconds(function):
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='*', default=[
        f'configs/pss_{name}_imagenet.py' for name in ('mbv2', 'mbv1', 'r50')])
    parser.add_argument('--num', type=int, default=20_000,
                        help='draws for each level')
    args = parser.parse_args()
    for path in args.configs:
        config = load_config(path)
        model = init_model(config)
        start = time.perf_counter()
        flops = flops_table(model)
        table = time.perf_counter() - start
        rng = np.random.default_rng(0)
        codes = model.search_space.random(rng, 1_000_000)
        flops(codes[:1000])
        placed = len(codes) / seconds(lambda: flops(codes))  # noqa: B023
        levels = config.default_hooks.pss_sampler.budgets['flops']
        budgets = parse_budgets('flops', levels, flops)
        start = time.perf_counter()
        sampler = ConditionalSampler(flops, budgets)
        built = time.perf_counter() - start
        rates = {}
        for budget in budgets:
            rates[budget] = args.num / seconds(
                lambda: sampler.draw(budget, rng, args.num))  # noqa: B023
        slowest = min(rates, key=rates.get)
        print(f'{path}: cost table in {table:.2f} s; {placed / 1e6:.1f} M '
              f'subnets placed a second; {len(budgets)} levels set up in '
              f'{built:.2f} s; slowest level {slowest.level:g} with '
              f'{rates[slowest]:,.0f} draws a second', flush=True)


if __name__ == '__main__':
    main()
