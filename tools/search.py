"""Finds the best subnet of a trained supernet for every budget.

``python tools/search.py CONFIG CHECKPOINT --out WORK_DIR --budgets
flops=95,105,120`` searches all subnets that cost at most 95, 105 and 120
MFLOPs, on the held-out images, and tests what it keeps. Nothing is trained, so
budgets and devices may be new: ``--table phone=phone.json --budgets
phone=12000:28000:1000`` searches for latencies up to 12,000 to 28,000
microseconds by a table that ``tools/build_latency_table.py`` measured. Without
``--budgets`` it searches for those of the config.

WORK_DIR gets results as JSON, CSV and pictures, and the bank. A search that was
interrupted goes on where it stopped, if it is started again in the same folder.
"""

import argparse
from pathlib import Path

from pss_command.arguments import add_arguments


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the supernet')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument(
        '--out',
        metavar='WORK_DIR',
        help='folder for the results and the bank; the same as --work-dir '
        '(default: search in the work directory of the config)')
    parser.add_argument(
        '--budgets',
        nargs='+',
        default=[],
        metavar='NAME=LEVELS',
        help='the most that subnets may cost: LEVEL,LEVEL,... or '
        'START:STOP:STEP in the unit of the resource NAME (default: the '
        'levels of the config)')
    parser.add_argument(
        '--table',
        nargs='+',
        default=[],
        metavar='NAME=JSON',
        help='latency tables of further resources')
    add_arguments(parser)
    args = parser.parse_args()
    if args.out is not None:
        if args.work_dir not in (None, args.out):
            parser.error('--out and --work-dir are the same; expected one')
        args.work_dir = args.out
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.apis import load_config
from pss.checks import shown
from pss.cli import (
    build_inspected,
    join_processes,
    merge_arguments,
    run,
    strip_training,
    verify_config,
)
from pss.config import TESTING, check_dict, need_fields
from pss.engine import SubnetTestLoop
from pss.engine.checkpoints import check_checkpoint
from pss.errors import InputError
from pss.evaluation import report_results
from pss.outputs import check_report
from pss.sampling import parse_limits


def merge_args(cfg, args):
    """Merges the arguments of the command line into the config."""
    merge_arguments(cfg, args)
    if args.work_dir is None:  # the training's results stay
        cfg.work_dir = str(Path(cfg.work_dir, 'search'))
    need_fields(cfg, TESTING, 'searching')
    strip_training(cfg, args.checkpoint)
    if args.amp:
        cfg.test_cfg.fp16 = True
    search = cfg.test_cfg.get('search')
    search = {} if search is None else search
    check_dict('test_cfg.search', search)
    if args.budgets:
        search = dict(search, budgets=parse_limits(args.budgets))
    cfg.test_cfg.search = search
    hooks = dict(cfg.get('default_hooks') or {})
    if not hooks.get('pss_sampler'):
        raise InputError('default_hooks.pss_sampler is missing; searching '
                         'needs its resources')
    hooks['pss_sampler'] = dict(
        hooks['pss_sampler'],
        resources=with_tables(hooks['pss_sampler'].get('resources'),
                              args.table))
    bank = dict(hooks.get('bank') or dict(type='pss.BankHook'))
    hooks['bank'] = dict(bank, out=str(Path(cfg.work_dir, 'bank')))
    cfg.default_hooks = hooks


def with_tables(resources, words):
    """A config's resources, and those of ``--table``.

    Raises:
        InputError: for a word that is malformed or names a resource that
            exists.
    """
    resources = {} if resources is None else resources
    check_dict('default_hooks.pss_sampler.resources', resources)
    resources = dict(resources)
    for word in words:
        name, _, path = word.partition('=')
        if not name or not path:
            raise InputError(f'--table {shown(word)}: expected NAME=JSON, such '
                             'as latency_phone=phone.json')
        if name in resources or name == 'flops':
            raise InputError(f'--table {shown(word)}: there is a resource '
                             f'{name} already; expected another name')
        resources[name] = dict(type='pss.Latency', table=path)
    return resources


def main(args):
    cfg = load_config(args.config)
    merge_args(cfg, args)
    verify_config(cfg)
    out = check_report(
        Path(cfg.work_dir, 'results.json'), [args.config, args.checkpoint])
    join_processes(cfg)
    runner = build_inspected(cfg)
    loop = runner.test_loop
    if not isinstance(loop, SubnetTestLoop):
        raise InputError('test_cfg: expected a pss.SubnetTestLoop, which '
                         'searches')
    check_checkpoint(args.checkpoint, runner.model)
    runner.test()
    if runner.rank == 0:
        assert loop.results is not None  # it has run
        report_results(loop.results, out)


if __name__ == '__main__':
    run(main, args)
