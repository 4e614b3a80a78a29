"""How many subnets a second are placed in pools and drawn for a level, and how
long an additive score takes."""

import argparse
import time
from functools import partial
from typing import Any, Callable, Dict, List

import numpy as np

from pss.apis import init_model, load_config
from pss.models import SupernetClassifier
from pss.resources import Latency, flops_table
from pss.sampling import (
    AdditiveScore,
    ConditionalSampler,
    PrioritizedSampler,
    SubnetPool,
    place_budgets,
    read_budgets,
)
from pss.structures import Budget, CostTable


def seconds(function: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def report(what: str, model: SupernetClassifier,
           table_of: Callable[[SupernetClassifier],
                              CostTable], levels: Dict[str, Any], placed: int,
           drawn: int, learnt: int) -> None:
    """Prints the figures of one resource.

    Args:
        what: names the resource.
        model: the supernet.
        table_of: gives the resource's costs.
        levels: the resource's entry in ``budgets``.
        placed: subnets to place in pools.
        drawn: subnets to draw for each level.
        learnt: iterations that an additive score learns from.
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
    report_scores(what, cost, budgets, drawn, learnt)


def report_scores(what: str, cost: CostTable, budgets: List[Budget], drawn: int,
                  learnt: int) -> None:
    """Prints how long an additive score takes to learn from an iteration, and
    draws by it, at a temperature of 0.3.

    Losses are made up: those of the subnets vary by 0.05 around a line.
    """
    space = cost.space
    score = AdditiveScore()
    sampler = PrioritizedSampler(
        space, {budgets[0].resource: cost},
        budgets,
        p=dict(start=0.5, ratio=1.),
        t=dict(start=0.3, ratio=1.),
        score=score)
    rng = np.random.default_rng(0)
    planning, learning = [], []
    for i in range(learnt):
        start = time.perf_counter()
        plan, pool = sampler.plan(0, i, 0.)
        planned = time.perf_counter()
        assert pool is not None
        code = space.encode([plan[1].subnet])[0]
        batch, noise = rng.normal(1., 0.3), 0.05 * rng.normal(size=3)
        losses = batch + noise - [0.2, 0.1 * (code / space.shape).mean(), 0.]
        made = time.perf_counter()
        sampler.observe(pool, plan[1],
                        dict(zip(('largest', 'sampled', 'smallest'), losses)))
        planning.append(planned - start)
        learning.append(time.perf_counter() - made)
    drawing, rates = [], {}
    for pool in sampler.pools:
        if not score.is_ready(pool):
            continue
        drawing.append(
            np.median([
                seconds(partial(draw_anew, score, pool, rng)) for _ in range(5)
            ]))
        draw = score.draws(pool, 0.3)
        rates[pool.budget] = drawn / seconds(partial(draw, rng, drawn))
    slowest = min(rates, key=lambda budget: rates[budget])
    print(
        f'{what}, additive score: learns from an iteration in '
        f'{1e3 * np.mean(learning[learnt // 2:]):.2f} ms, plans one in '
        f'{1e3 * np.mean(planning[learnt // 2:]):.2f} ms; one draw after the '
        f'score has changed in {1e3 * np.mean(drawing):.1f} ms, at most '
        f'{1e3 * max(drawing):.1f} ms; slowest level {slowest.level:g} with '
        f'{rates[slowest]:,.0f} draws a second',
        flush=True)


def draw_anew(score: AdditiveScore, pool: SubnetPool,
              rng: np.random.Generator) -> None:
    """Draws one subnet as if the score had just changed."""
    score.draws(pool, 0.3)(rng, 1)


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
        '--learnt',
        type=int,
        default=1000,
        help='iterations that an additive score learns from (default: '
        '%(default)s)')
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
        report(path, model, flops_table, levels, args.placed, args.num,
               args.learnt)
        if args.latency_table:
            report(args.latency_table, model,
                   Latency(args.latency_table).table, dict(pools=20),
                   args.placed, args.num, args.learnt)


if __name__ == '__main__':
    main()
