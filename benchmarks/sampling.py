"""How many subnets a second are placed in pools, and drawn for a level."""

import argparse
import time
from functools import partial
from typing import Any, Callable, Dict

import numpy as np

from pss.apis import init_model, load_config
from pss.models import SupernetClassifier
from pss.resources import Latency, flops_table
from pss.sampling import ConditionalSampler, place_budgets, read_budgets
from pss.structures import CostTable


def seconds(function: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def report(what: str, model: SupernetClassifier,
           table_of: Callable[[SupernetClassifier], CostTable],
           levels: Dict[str, Any], placed: int, drawn: int) -> None:
    """Prints the figures of one resource.

    Args:
        what: names the resource.
        model: the supernet.
        table_of: gives the resource's costs.
        levels: the resource's entry in ``budgets``.
        placed: subnets to place in pools.
        drawn: subnets to draw for each level.
    """
    start = time.perf_counter()
    cost = table_of(model)
    table = time.perf_counter() - start
    rng = np.random.default_rng(0)
    codes = model.search_space.random(rng, placed)
    cost(codes[:1000])  # warms up
    placing = placed / seconds(partial(cost, codes))
    read = read_budgets(dict(cost=levels), ['cost'])
    budgets = place_budgets(read, dict(cost=cost))['cost']
    start = time.perf_counter()
    sampler = ConditionalSampler(cost, budgets)
    built = time.perf_counter() - start
    rates = {
        budget: drawn / seconds(partial(sampler.draw, budget, rng, drawn))
        for budget in budgets
    }
    slowest = min(rates, key=lambda budget: rates[budget])
    print(
        f'{what}: cost table in {table:.2f} s; {placing / 1e6:.1f} M subnets '
        f'placed a second; {len(budgets)} levels set up in {built:.2f} s; '
        f'slowest level {slowest.level:g} with {rates[slowest]:,.0f} draws a '
        'second',
        flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'configs',
        nargs='*',
        default=[
            f'configs/pss_{name}_imagenet.py'
            for name in ('mbv2', 'mbv1', 'r50')
        ])
    parser.add_argument(
        '--num',
        type=int,
        default=20_000,
        help='draws for each level (default: %(default)s)')
    parser.add_argument(
        '--placed',
        type=int,
        default=1_000_000,
        help='subnets to place in pools (default: %(default)s)')
    parser.add_argument(
        '--latency-table',
        default=None,
        help='measure 20 levels of this latency table too')
    args = parser.parse_args()
    for path in args.configs:
        config = load_config(path)
        model = init_model(config)
        assert isinstance(model, SupernetClassifier)
        levels = config.default_hooks.pss_sampler.budgets['flops']
        report(path, model, flops_table, levels, args.placed, args.num)
        if args.latency_table:
            report(args.latency_table, model,
                   Latency(args.latency_table).table, dict(pools=20),
                   args.placed, args.num)


if __name__ == '__main__':
    main()
