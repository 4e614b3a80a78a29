"""Draws subnets of one resource level from the space's prior, exactly."""

import argparse
import time

import numpy as np

from pss.apis import init_model, load_config, run
from pss.errors import InputError
from pss.resources import flops_table
from pss.sampling import ConditionalSampler
from pss.structures import Budget, write_json


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a supernet')
    parser.add_argument(
        '--level', type=float, required=True,
        help='the resource level, in MFLOPs')
    parser.add_argument(
        '--step', type=float, default=None,
        help='distance between levels; defaults to the one in the config')
    parser.add_argument('--num', type=int, default=1000, help='how many')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', required=True, help='JSON file to write')
    args = parser.parse_args()
    if args.num < 1:
        raise InputError(f'--num={args.num} must be at least 1')
    if args.seed < 0:
        raise InputError(f'--seed={args.seed} must be at least 0')

    config = load_config(args.config)
    model = init_model(config)
    step = args.step
    if step is None:
        step = config.default_hooks.pss_sampler.budgets['flops']['step']
    if not step > 0:
        raise InputError(f'--step={step} must be above 0')
    budget = Budget('flops', args.level, step)
    flops = flops_table(model)
    start = time.perf_counter()
    sampler = ConditionalSampler(flops, [budget])
    built = time.perf_counter()
    codes = sampler.draw(budget, np.random.default_rng(args.seed), args.num)
    drawn = time.perf_counter()
    rows = [
        dict(**subnet.as_dict(), mflops=cost) for subnet, cost in zip(
            model.search_space.decode(codes), flops(codes).tolist())
    ]
    write_json(rows, args.out)
    print(f'{args.num} subnets between {budget.low:g} and {budget.high:g} '
          f'MFLOPs: {args.out}')
    print(f'{args.num / (drawn - built):.0f} draws a second, after '
          f'{built - start:.3f} s to set up')


if __name__ == '__main__':
    run(main)
