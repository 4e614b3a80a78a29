"""Writes the bank of a checkpoint: its best subnets, ready to switch between.

As at the end of training: the best subnet of every pool is chosen on held-out
images and tested.
"""

import argparse

from mmengine.runner import Runner

from pss.apis import (
    add_arguments,
    check_checkpoint,
    join_processes,
    keep_testing,
    load_config,
    merge_arguments,
    run,
    verify_config,
)
from pss.deploy import read_bank
from pss.engine import SubnetTestLoop
from pss.errors import InputError


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the supernet')
    parser.add_argument('checkpoint', help='its checkpoint, with pools')
    parser.add_argument('--out', required=True, help="the bank's folder")
    add_arguments(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    cfg = load_config(args.config)
    merge_arguments(cfg, args)
    keep_testing(cfg, args.checkpoint)
    if args.amp:
        cfg.test_cfg.fp16 = True
    hook = dict(cfg.default_hooks.get('bank') or dict(type='pss.BankHook'))
    cfg.default_hooks.bank = dict(hook, out=args.out, strict=True)
    verify_config(cfg)
    join_processes(cfg)
    runner = Runner.from_cfg(cfg)
    if not isinstance(runner.test_loop, SubnetTestLoop):
        raise InputError('test_cfg: a bank needs pss.SubnetTestLoop, which '
                         'chooses its subnets')
    check_checkpoint(args.checkpoint, runner.model, pools=True)
    runner.test()
    if runner.rank == 0:
        print(f'\nBank: {args.out}, {len(read_bank(args.out).kept)} subnets')


if __name__ == '__main__':
    run(main)
