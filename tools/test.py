"""Chooses and tests the best subnet of every pool of a checkpoint.

``python tools/test.py CONFIG CHECKPOINT --out results.json`` writes the results
as JSON, and beside them as CSV and as a plot.
"""

import argparse
from pathlib import Path

from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from pss.apis import (
    add_arguments,
    check_checkpoint,
    join_processes,
    load_config,
    merge_arguments,
    run,
    verify_config,
)
from pss.evaluation import plot_results, results_table, write_csv, write_results


def parse_args():
    parser = argparse.ArgumentParser(
        description='Test (and evaluate) the best subnets of a supernet')
    parser.add_argument('config', help='test config file path')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out',
        help='the JSON file to output results; a CSV file and a plot get the '
        'same name. Defaults to results.json in the work dir')
    parser.add_argument(
        '--show-dir',
        help='directory where the visualization images will be saved.')
    parser.add_argument(
        '--interval',
        type=int,
        default=1,
        help='visualize per interval samples.')
    add_arguments(parser)
    return parser.parse_args()


def merge_args(cfg, args):
    """Merges the command line's arguments into the config."""
    merge_arguments(cfg, args)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show_dir is not None:
        cfg.default_hooks.visualization.update(
            enable=True, out_dir=args.show_dir, interval=args.interval)
    # what only training needs
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = None
    cfg.param_scheduler = cfg.auto_scale_lr = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None


def main():
    args = parse_args()
    cfg = load_config(args.config)
    merge_args(cfg, args)
    verify_config(cfg)
    join_processes(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg \
        else Runner.from_cfg(cfg)
    check_checkpoint(args.checkpoint, runner.model, pools=True)
    runner.test()
    results = runner.test_loop.results
    out = Path(args.out or Path(cfg.work_dir, 'results.json'))
    if runner.rank == 0:
        write_results(results, out)
        write_csv(results, out.with_suffix('.csv'))
        written = [out, out.with_suffix('.csv')]
        if 'top1' in results['largest']:
            for resource in results['resources']:
                plot = out.with_suffix('.png') if resource == 'flops' \
                    else out.with_name(f'{out.stem}_{resource}.png')
                plot_results({out.stem: results}, plot, resource)
                written.append(plot)
        print(f'\nResults: {out}, and beside it '
              f'{", ".join(path.name for path in written[1:])}\n')
        print(results_table(results))


if __name__ == '__main__':
    run(main)
