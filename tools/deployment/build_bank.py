"""Writes the bank of a checkpoint: its best subnets, ready to switch between.

As at the end of training, the best subnet of every pool is chosen on held-out
images, and tested.
"""

import argparse

from pss_command.arguments import add_arguments


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the supernet')
    parser.add_argument('checkpoint', help='its checkpoint, with the pools')
    parser.add_argument('--out', required=True, help="the bank's folder")
    add_arguments(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.apis import load_config
from pss.cli import (
    build_inspected,
    join_processes,
    merge_arguments,
    run,
    strip_training,
    verify_config,
)
from pss.config import TESTING, need_fields
from pss.deploy import read_bank
from pss.engine import SubnetTestLoop
from pss.engine.checkpoints import check_checkpoint
from pss.errors import InputError
from pss.outputs import check_out_folder


def main(args):
    cfg = load_config(args.config)
    merge_arguments(cfg, args)
    need_fields(cfg, TESTING, 'choosing subnets')
    check_out_folder(args.out)
    strip_training(cfg, args.checkpoint)
    if args.amp:
        cfg.test_cfg.fp16 = True
    hooks = dict(cfg.get('default_hooks') or {})
    hook = dict(hooks.get('bank') or dict(type='pss.BankHook'))
    cfg.default_hooks = dict(hooks, bank=dict(hook, out=args.out, strict=True))
    verify_config(cfg)
    join_processes(cfg)
    runner = build_inspected(cfg)
    if not isinstance(runner.test_loop, SubnetTestLoop):
        raise InputError('test_cfg: expected a pss.SubnetTestLoop, which '
                         'chooses the subnets of the bank')
    check_checkpoint(args.checkpoint, runner.model, pools=True)
    runner.test()
    if runner.rank == 0:
        kept = read_bank(args.out, hook.get('trust', ())).kept
        print(f'\nBank: {args.out}, {len(kept)} subnets')


if __name__ == '__main__':
    run(main, args)
