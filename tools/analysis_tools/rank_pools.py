"""Measures how well the scores of subnets in pools predict held-out accuracy.

``python tools/analysis_tools/rank_pools.py CONFIG CHECKPOINT --out ranks.json``
"""

import argparse

from pss_command.arguments import add_arguments


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of the test')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out',
        default='ranks.json',
        metavar='JSON',
        help='file to write (default: %(default)s)')
    parser.add_argument(
        '--draws',
        type=int,
        default=0,
        help='also test this many subnets of each level drawn from the space, '
        'for comparison with those in the pools; an additive score is ranked '
        'over these too (default: %(default)s)')
    add_arguments(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import numpy as np
from tabulate import tabulate
from torch.utils.data import DataLoader, Subset

from pss.apis import load_config
from pss.cli import (
    build_inspected,
    check_integers,
    merge_arguments,
    run,
    strip_training,
    verify_config,
)
from pss.config import TESTING, need_fields
from pss.engine import SubnetTestLoop
from pss.engine.checkpoints import check_checkpoint
from pss.errors import InputError
from pss.evaluation import rank_summary
from pss.files import write_json
from pss.outputs import check_out


def halves_of(loader):
    """Splits a loader's images into two loaders, every other one in each."""
    return [
        DataLoader(
            Subset(loader.dataset, range(first, len(loader.dataset), 2)),
            batch_size=loader.batch_size,
            collate_fn=loader.collate_fn,
            num_workers=loader.num_workers) for first in (0, 1)
    ]


def rank(loop, draws):
    """Scores and held-out accuracies of all subnets in the pools.

    Args:
        loop: the test loop, with the checkpoint loaded.
        draws: number of subnets per level that are not in its pool.
    """
    sampler = loop.sampler_hook.sampler
    pools = [pool for pool in sampler.pools if len(pool)]
    drawn = {pool: fresh(sampler, pool, draws) for pool in pools}
    subnets = [
        *(s for pool in pools for s in pool.scores),
        *(s for found in drawn.values() for s in found)
    ]
    statistics = loop.calibrate(list(dict.fromkeys(subnets)))
    halves = [
        loop.evaluate(
            statistics,
            loader,
            'held-out images',
            hooks=False,
            evaluator=loop.selection_evaluator)
        for loader in halves_of(loop.selection_dataloader)
    ]

    def row(subnet, **score):
        values = [loop.metric_of(found[subnet]) for found in halves]
        return dict(
            loop.row(subnet, {}),
            **score,
            halves=values,
            held_out=sum(values) / 2)

    def scored(pool, subnets):
        score_of = getattr(getattr(sampler, 'score', None), 'score', None)
        if not subnets or score_of is None:
            return [row(subnet) for subnet in subnets]
        scores = score_of(pool.budget, subnets).tolist()
        return [row(s, score=score) for s, score in zip(subnets, scores)]

    return dict(
        metric=loop.metric,
        images=len(loop.selection_dataloader.dataset),
        pools=[
            dict(
                resource=pool.budget.resource,
                level=pool.budget.level,
                members=[
                    row(subnet, score=score)
                    for subnet, score in pool.best(len(pool))
                ],
                draws=scored(pool, drawn[pool])) for pool in pools
        ])


def fresh(sampler, pool, num):
    """Draws ``num`` subnets of a pool's level that are not in the pool; fewer
    if there are not enough, or if they are too rare to be drawn."""
    rng = np.random.default_rng(0)
    drawn = sampler.fresh(pool.budget, rng, 20 * num) if num else []
    return [s for s in dict.fromkeys(drawn) if s not in pool.scores][:num]


def main(args):
    check_integers(args, draws=(0, 100_000))
    check_out(args.out, [args.config, args.checkpoint])
    cfg = load_config(args.config)
    merge_arguments(cfg, args)
    if cfg.get('launcher', 'none') != 'none':
        raise InputError(f'--launcher={cfg.launcher}: expected none; ranking '
                         'takes one process')
    need_fields(cfg, TESTING, 'ranking')
    strip_training(cfg, args.checkpoint)
    if args.amp:
        cfg.test_cfg.fp16 = True
    verify_config(cfg)
    runner = build_inspected(cfg)
    loop = runner.test_loop
    if not isinstance(loop, SubnetTestLoop):
        raise InputError('test_cfg: ranking needs pss.SubnetTestLoop')
    check_checkpoint(args.checkpoint, runner.model, pools=True)
    runner.call_hook('before_run')
    runner.load_or_resume()
    ranks = rank(loop, args.draws)
    if not ranks['pools']:
        raise InputError(f'{args.checkpoint}: has no subnets in its pools')
    write_json(ranks, args.out)
    print(f'\nRanks: {args.out}\n\n' +
          tabulate(rank_summary(ranks), headers='keys', floatfmt='.2f'))


if __name__ == '__main__':
    run(main, args)
