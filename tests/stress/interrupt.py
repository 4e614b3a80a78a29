"""Ends trainings at random moments, resumes them, and compares.

``python tests/stress/interrupt.py --kills 24`` trains the demo's config on
small data without interruption, once with checkpoints at the ends of epochs
and once at intervals of iterations. Then it trains the same while killing the
training again and again: at random moments, and every third time while a
checkpoint is being written. After each kill, ``--resume`` continues. The end
result must equal the uninterrupted run's, bit by bit: weights, state of the
optimizer, schedules, pools, scores, logged scalars, results and bank.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from tests.images import write_images
from tests.stress.training import (
    BEGINS,
    compare_trainings,
    config_in,
    end,
    finish,
    has_ended,
    options,
    start,
    wait,
)
from tests.training import begin_runs_sooner

MODES = {
    'epochs': [],
    'iterations': [
        'default_hooks.checkpoint.by_epoch=False',
        'default_hooks.checkpoint.interval=4'
    ],
}


def interrupt(pid, work_dir, seconds, number, writing):
    """Ends a training some time after its first iteration could begin.

    Args:
        pid: the training's process.
        work_dir: its work directory.
        seconds: how long to wait after the training began.
        number: the signal.
        writing: whether to wait until a checkpoint is being written too.

    Returns:
        Whether the training was still running.
    """
    log = Path(f'{work_dir}.log')
    size = log.stat().st_size if log.is_file() else 0
    until = None
    while until is None or time.monotonic() < until or writing and not any(
            work_dir.glob('*.pth.*.tmp')):
        if has_ended(pid):
            code = wait(pid)
            assert code == 0, f'{work_dir}: exit status {code}'
            return False
        if until is None and log.is_file() and \
                BEGINS in log.read_text()[size:]:
            until = time.monotonic() + seconds
        time.sleep(0.001 if writing else 0.01)
    code = end(pid, number)
    assert code in (-number, 128 + number), f'{work_dir}: exit status {code}'
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--kills', type=int, default=20, help='in all (default: %(default)s)')
    parser.add_argument(
        '--images',
        type=int,
        default=600,
        help='for training (default: %(default)s)')
    parser.add_argument(
        '--modes', nargs='+', choices=MODES, default=list(MODES))
    parser.add_argument(
        '--small',
        action='store_true',
        help='train a network of five convolutions')
    parser.add_argument('--signal', choices=['KILL', 'TERM'], default='KILL')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    begin_runs_sooner()
    number = getattr(signal, f'SIG{args.signal}')
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_images(folder / 'data', args.images, 60)
        config = config_in(folder, args.small)
        bad = sum(
            run(mode, config, folder, number, rng, args) for mode in args.modes)
    sys.exit(bool(bad))


def run(mode, config, folder, number, rng, args):
    """Trains without interruption and with; returns how many runs differ."""
    words = [*options(folder / 'data'), *MODES[mode]]
    whole = folder / f'{mode}_whole'
    lasted = finish([start(config, whole, words)], whole)
    name = max(whole.glob('*.pth'), key=lambda p: p.stat().st_mtime_ns).name
    wanted = -(-args.kills // len(args.modes))
    kills = bad = runs = 0
    while kills < wanted:
        work_dir = folder / f'{mode}_{runs}'
        runs += 1
        resumed = 0
        while True:
            pid = start(config, work_dir, words, '--resume')
            writing = number == signal.SIGKILL and kills % 3 == 2
            if kills >= wanted:
                assert wait(pid) == 0, Path(f'{work_dir}.log').read_text()
                break
            # late enough for some progress, early enough for more kills
            if not interrupt(pid, work_dir, rng.uniform(0, lasted / 2), number,
                             writing):
                break
            kills += 1
            resumed += 1
            print(
                f'{mode}: {kills}/{wanted} interruptions, this one '
                f'{"while writing" if writing else "anywhere"}; newest '
                f'checkpoint: {newest(work_dir)}',
                flush=True)
        found = compare_trainings(whole, work_dir, name)
        bad += bool(found)
        print(
            f'{mode}: {name} after {resumed} interruptions ' +
            (f'DIFFERS: {"; ".join(found[:5])}'
             if found else 'is the same, bit by bit'),
            flush=True)
    return bad


def newest(work_dir):
    """The name of the last checkpoint that was written."""
    pointer = work_dir / 'last_checkpoint'
    return Path(pointer.read_text()).name if pointer.is_file() else 'none'


if __name__ == '__main__':
    main()
