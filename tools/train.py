"""Trains a supernet.

``python tools/train.py CONFIG`` trains. At the end it chooses and tests the
best subnet of every pool, like tools/test.py, and writes them to a bank
(``default_hooks.bank``).
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

from pss_command.arguments import add_arguments


def parse_args():
    parser = argparse.ArgumentParser(description='Train a supernet')
    parser.add_argument('config', help='config of the training')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='resume from this checkpoint, or from the newest one in the work '
        'directory if none is given')
    parser.add_argument(
        '--no-validate',
        action='store_true',
        help='do not evaluate during training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the ratio of the actual to the '
        'original batch size')
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='disable the persistent_workers option of data loaders')
    add_arguments(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.apis import find_checkpoint, load_config
from pss.cli import (
    ask_first,
    build_inspected,
    join_processes,
    launched_at,
    merge_arguments,
    mix_precision,
    restarts,
    run,
    verify_config,
)
from pss.config import TRAINING, need_fields
from pss.engine.checkpoints import check_checkpoint
from pss.errors import InputError
from pss.evaluation import report_results
from pss.locks import locked
from pss.outputs import check_report


def merge_args(cfg, args):
    """Merges the arguments of the command line into the config."""
    merge_arguments(cfg, args)
    need_fields(cfg, TRAINING, 'training')
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        mix_precision(cfg)
    if args.auto_scale_lr:
        need_fields(cfg, ['auto_scale_lr'], '--auto-scale-lr')
        cfg.auto_scale_lr.enable = True
    cfg.setdefault('resume', False)
    cfg.setdefault('load_from', None)
    if args.resume not in (None, 'auto'):
        if not Path(args.resume).is_file():
            raise InputError(f'--resume {args.resume}: no such file')
        cfg.resume, cfg.load_from = True, args.resume
    if args.no_persistent_workers:
        cfg.train_dataloader.persistent_workers = False


def choose_checkpoint(cfg, resume):
    """Resumes from the newest checkpoint in the work directory, if asked to or
    if the launcher restarted the processes after one had died.

    Without such a checkpoint the run starts as the config says, from
    ``load_from`` if that is set.

    Args:
        cfg: its ``resume`` and ``load_from`` are set.
        resume: the argument of the command line.
    """
    again = restarts() > 0
    asked = resume == 'auto' or cfg.resume and cfg.load_from is None
    if not (again or asked):
        return
    # checkpoints of an earlier run are only used if asked for
    since = 0. if asked else launched_at()
    newest = ask_first(lambda: find_checkpoint(cfg.work_dir, since))
    if newest is not None:
        cfg.resume, cfg.load_from = True, str(newest)
    elif asked:
        cfg.resume = False


def main(args):
    cfg = load_config(args.config)
    merge_args(cfg, args)
    verify_config(cfg)
    check_report(Path(cfg.work_dir, 'results.json'), [args.config])
    join_processes(cfg)
    with ExitStack() as held:

        def hold_work_dir():
            held.enter_context(
                locked(
                    Path(cfg.work_dir, '.train'), f'work_dir={cfg.work_dir!r}'))

        ask_first(hold_work_dir)  # if the first process cannot, all end
        train(cfg, args.resume)


def train(cfg, resume):
    """Trains, and reports the subnets chosen and tested at the end."""
    choose_checkpoint(cfg, resume)
    runner = build_inspected(cfg)
    if cfg.resume and cfg.load_from is not None:
        check_checkpoint(cfg.load_from, runner.model)
    runner.train()
    # pss.BankHook runs the test loop at the end
    results = getattr(runner._test_loop, 'results', None)
    if runner.rank == 0 and results is not None:
        report_results(results, Path(cfg.work_dir, 'results.json'))


if __name__ == '__main__':
    run(main, args)
