"""Chooses and tests the best subnet of every pool of a checkpoint.

``python tools/test.py CONFIG CHECKPOINT --out results.json`` writes the results
as JSON, and beside it as CSV and as a plot. CONFIG may also describe a plain
network, such as an exported subnet; then its metrics are written.
"""

import argparse
import json
from pathlib import Path

from pss_command.arguments import add_arguments


def parse_args():
    parser = argparse.ArgumentParser(
        description='Test (and evaluate) the best subnets of a supernet')
    parser.add_argument('config', help='config of the test')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out',
        help='JSON file for the results; a CSV file and a plot of the same '
        'name are written beside it (default: results.json in the work dir)')
    parser.add_argument(
        '--show-dir', help='folder for images with predictions drawn')
    parser.add_argument(
        '--interval',
        type=int,
        default=1,
        help='draw every so many images (default: %(default)s)')
    add_arguments(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.apis import load_config
from pss.cli import (
    build_inspected,
    check_integers,
    join_processes,
    merge_arguments,
    run,
    strip_training,
    verify_config,
)
from pss.config import TESTING, need_fields
from pss.engine import SubnetTestLoop
from pss.engine.checkpoints import check_checkpoint
from pss.errors import InputError
from pss.evaluation import report_results
from pss.files import write_json
from pss.outputs import check_out_folder, check_report


def merge_args(cfg, args):
    """Merges the arguments of the command line into the config."""
    merge_arguments(cfg, args)
    need_fields(cfg, TESTING, 'testing')
    strip_training(cfg, args.checkpoint)
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show_dir is not None:
        check_out_folder(args.show_dir, '--show-dir')
        if not (cfg.get('default_hooks') or {}).get('visualization'):
            raise InputError(f'--show-dir={args.show_dir}: the config has no '
                             'default_hooks.visualization, which draws')
        cfg.default_hooks.visualization.update(
            enable=True, out_dir=args.show_dir, interval=args.interval)


def main(args):
    check_integers(args, interval=1)
    cfg = load_config(args.config)
    merge_args(cfg, args)
    if args.out is not None:
        check_report(args.out, [args.config, args.checkpoint])
    verify_config(cfg)
    out = check_report(
        args.out or Path(cfg.work_dir, 'results.json'),
        [args.config, args.checkpoint])
    join_processes(cfg)
    runner = build_inspected(cfg)
    pools = isinstance(runner.test_loop, SubnetTestLoop)
    check_checkpoint(args.checkpoint, runner.model, pools=pools)
    metrics = runner.test()
    if runner.rank != 0:
        return
    if pools:
        report_results(runner.test_loop.results, out)
    else:
        write_json(metrics, out)
        print(f'\nResults: {out}\n\n{json.dumps(metrics)}')


if __name__ == '__main__':
    run(main, args)
