"""Draws subnets of one resource level, exactly by the space's prior."""

import argparse
import time

from pss_command.arguments import add_options


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a supernet')
    parser.add_argument(
        '--resource',
        default=None,
        help='the resource of the level, by its name in the config '
        '(default: flops)')
    parser.add_argument(
        '--latency-table',
        default=None,
        help='a latency table for the level; the resource is then called '
        'latency_us')
    parser.add_argument(
        '--level',
        type=float,
        required=True,
        help="the level, in the resource's unit (MFLOPs, microseconds)")
    parser.add_argument(
        '--step',
        type=float,
        default=None,
        help='distance between levels (default: as in the config)')
    parser.add_argument('--num', type=int, default=1000, help='how many')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', required=True, help='JSON file to write')
    add_options(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import numpy as np

from pss.apis import init_model, load_config
from pss.cli import (
    check_integers,
    check_numbers,
    check_seed,
    merge_options,
    run,
)
from pss.config import config_resources
from pss.errors import InputError
from pss.files import write_json
from pss.outputs import check_out
from pss.resources import Latency, cost_field, cost_tables
from pss.sampling import ConditionalSampler, place_budgets, read_budgets
from pss.structures import Budget


def main(args):
    check_integers(args, num=(1, 10_000_000))
    check_numbers(args, level=(0, None), step=(0, None))
    check_seed(args)
    check_out(args.out, [args.config, args.latency_table])

    config = load_config(args.config)
    merge_options(config, args.cfg_options)
    resources = config_resources(config)
    if args.latency_table is not None:
        resources['latency_us'] = Latency(args.latency_table)
    name = args.resource or ('latency_us' if args.latency_table else 'flops')
    if name not in resources:
        raise InputError(
            f'--resource={name} is not in the config; expected one '
            f'of {", ".join(resources)}')
    model = init_model(config)
    costs = cost_tables(resources, model)
    step = step_of(args.step, config, name, costs[name])
    budget = Budget(name, args.level, step)
    start = time.perf_counter()
    sampler = ConditionalSampler(costs[name], [budget])
    built = time.perf_counter()
    codes = sampler.draw(budget, np.random.default_rng(args.seed), args.num)
    drawn = time.perf_counter()
    columns = {cost_field(n): cost(codes) for n, cost in costs.items()}
    rows = [
        dict(**subnet.as_dict(), **{
            c: float(values[i])
            for c, values in columns.items()
        }) for i, subnet in enumerate(model.search_space.decode(codes))
    ]
    write_json(rows, args.out)
    print(f'{args.num} subnets between {budget.low:g} and {budget.high:g} '
          f'{resources[name].unit}: {args.out}')
    print(f'{args.num / (drawn - built):.0f} draws a second, after '
          f'{built - start:.3f} s to set up')


def step_of(step, config, name, cost):
    """The distance between levels: given, or from the config.

    Raises:
        InputError: if there is neither.
    """
    if step is None:
        hooks = config.get('default_hooks') or {}
        levels = ((hooks.get('pss_sampler') or {}).get('budgets')
                  or {}).get(name)
        if levels is None:
            raise InputError('--step is missing: the config has no levels of '
                             f'{name}')
        read = read_budgets({name: levels}, [name])
        step = place_budgets(read, {name: cost})[name][0].step
    return step


if __name__ == '__main__':
    run(main, args)
