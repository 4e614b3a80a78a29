"""How well scores predict accuracy: the pools' subnets on held-out images.

``python tools/analysis_tools/rank_pools.py CONFIG CHECKPOINT --out ranks.json``
"""

import argparse

from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from tabulate import tabulate
from torch.utils.data import DataLoader, Subset

from pss.apis import (
    add_arguments,
    check_checkpoint,
    keep_testing,
    load_config,
    merge_arguments,
    run,
    verify_config,
)
from pss.errors import InputError
from pss.evaluation import rank_summary
from pss.structures import write_json


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='test config file path')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', default='ranks.json', metavar='JSON',
                        help='file to write (default: %(default)s)')
    add_arguments(parser)
    return parser.parse_args()


def halves_of(loader):
    """The images of a loader as two loaders: every other one in each."""
    return [DataLoader(
        Subset(loader.dataset, range(first, len(loader.dataset), 2)),
        batch_size=loader.batch_size, collate_fn=loader.collate_fn,
        num_workers=loader.num_workers) for first in (0, 1)]


def rank(loop):
    """Scores and held-out accuracies of all subnets in the pools.

    Args:
        loop: of tests, with the checkpoint loaded.
    """
    pools = [pool for pool in loop.sampler_hook.sampler.pools if len(pool)]
    members = {subnet for pool in pools for subnet in pool.scores}
    statistics = loop.calibrate(sorted(members, key=repr))
    halves = [loop.evaluate(statistics, loader, 'held-out images', hooks=False,
                            evaluator=loop.selection_evaluator)
              for loader in halves_of(loop.selection_dataloader)]

    def row(subnet, score):
        values = [loop.metric_of(found[subnet]) for found in halves]
        return dict(loop.row(subnet, {}), score=score, halves=values,
                    held_out=sum(values) / 2)

    return dict(
        metric=loop.metric,
        images=len(loop.selection_dataloader.dataset),
        pools=[dict(resource=pool.budget.resource, level=pool.budget.level,
                    members=[row(*scored) for scored in pool.best(len(pool))])
               for pool in pools])


def main():
    args = parse_args()
    cfg = load_config(args.config)
    merge_arguments(cfg, args)
    if cfg.get('launcher', 'none') != 'none':
        raise InputError(f'--launcher={cfg.launcher}: one process does this')
    keep_testing(cfg, args.checkpoint)
    verify_config(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg \
        else Runner.from_cfg(cfg)
    check_checkpoint(args.checkpoint, runner.model, pools=True)
    loop = runner.test_loop
    runner.call_hook('before_run')
    runner.load_or_resume()
    ranks = rank(loop)
    if not ranks['pools']:
        raise InputError(f'{args.checkpoint}: has no subnets in its pools')
    write_json(ranks, args.out)
    print(f'\nRanks: {args.out}\n\n' + tabulate(
        [row.values() for row in rank_summary(ranks)],
        headers=rank_summary(ranks)[0].keys(), floatfmt='.2f'))


if __name__ == '__main__':
    run(main)
