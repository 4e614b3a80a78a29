"""Feeds bad inputs to every reader and every command-line tool.

``python tests/stress/fuzz.py --num 1000`` makes 1,000 inputs from a seed:
configs, command lines, banks, latency tables, published files, data folders,
results, logs and checkpoints that are wrong in one to three places. Each is
given to the tool or the reader in its own process, and must do one of two
things:

- be refused: status 2 or 3 and one line that begins with ``error: ``, or one of
  our errors where a reader is called from Python;
- be used to the end with sound results: every file written is complete, can be
  read again, and holds finite figures.

It must not end with another error or status, take longer than a minute, hang,
crash, take more than four gigabytes, run code that came with it, start
programs, use the network, or change or remove files that are not its own.

Seed, target and index alone determine an input: ``--only TARGET --index N``
repeats it.
"""

import argparse
import collections
import gc
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault('MPLBACKEND', 'Agg')

import torch
from tabulate import tabulate

from tests.stress.fuzzing import TARGETS, Fixtures, load_tools, sandbox

LIMIT = 60  # seconds


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--num',
        type=int,
        default=1000,
        help='inputs of all targets (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--only',
        nargs='+',
        metavar='TARGET',
        choices=[t.name for t in TARGETS],
        help='take all inputs from these targets, out of '
        f'{", ".join(t.name for t in TARGETS)}')
    parser.add_argument(
        '--index', type=int, help='only this input of each target')
    parser.add_argument(
        '--limit',
        type=float,
        default=LIMIT,
        help='seconds for one input (default: %(default)s)')
    parser.add_argument(
        '--verbose',
        action='store_true',
        help='also print the outcome of every input')
    parser.add_argument(
        '--report', metavar='JSON', help='file to write all outcomes to')
    return parser.parse_args()


def numbers_of(targets, num):
    """The number of inputs of each target, by its share."""
    whole = sum(target.share for target in targets)
    return {
        target.name:
        max(getattr(target, 'least', 1), round(num * target.share / whole))
        for target in targets
    }


def in_turns(numbers):
    """Targets' names and indices, interleaved, so that the time left can be
    estimated."""
    places = [((index + 0.5) / num, name, index)
              for name, num in numbers.items() for index in range(num)]
    return [(name, index) for _, name, index in sorted(places)]


def prepare(folder):
    """Makes the good inputs in a separate process: threads that training starts
    would not survive in the forked ones."""
    folder.mkdir()
    fixtures = Fixtures(folder)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.chdir(folder)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            fixtures.make()
            code = 0
        except BaseException as error:
            print(f'{type(error).__name__}: {error}', file=sys.stderr)
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        sys.exit('the good inputs cannot be made')
    return fixtures


def shortened(outcome, folder):
    """An outcome without the path of the folder that holds everything."""

    def short(text):
        return text.replace(f'{folder}/run/case',
                            '.').replace(f'{folder}/fixtures', 'good')

    return outcome._replace(**{
        name: short(getattr(outcome, name))
        for name in ('what', 'problem', 'tail')
    })


def say(name, seed, index, outcome, verbose):
    """Prints the outcome of an input."""
    if outcome.kind == 'failed':
        print(f'FAILED {name} (seed {seed}, index {index}): {outcome.what}\n'
              f'  {outcome.problem[:500]}')
        if outcome.place:
            print(f'  at {outcome.place}')
        for line in outcome.tail.splitlines()[-6:]:
            print(f'  | {ascii(line)[1:-1][:200]}')
    elif verbose:
        print(f'{outcome.kind} {name} {index} ({outcome.seconds:.2f} s): '
              f'{outcome.what}: {outcome.problem[:300]}')


class Progress:
    """Prints the progress: on a terminal every second, else every half minute.
    """

    def __init__(self, num):
        self.num, self.begun, self.said = num, time.monotonic(), 0.

    def update(self, done, failed):
        now = time.monotonic()
        if now - self.said < (1 if sys.stderr.isatty() else 30):
            return
        self.said = now
        left = (now - self.begun) / done * (self.num - done)
        print(
            f'{done} of {self.num} inputs, {failed} failed, '
            f'{left / 60:.1f} minutes left',
            end='\r' if sys.stderr.isatty() else '\n',
            file=sys.stderr,
            flush=True)


def main():
    args = parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    chosen = [t for t in TARGETS if not args.only or t.name in args.only]
    if args.index is None:
        todo = in_turns(numbers_of(chosen, args.num))
    else:
        todo = [(target.name, args.index) for target in chosen]
    load_tools()
    counts = {t.name: collections.Counter() for t in chosen}
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        fixtures = prepare(folder / 'fixtures')
        targets = {kind.name: kind(fixtures) for kind in chosen}
        gc.collect()
        gc.freeze()  # forked processes then share the memory
        progress = Progress(len(todo))
        for done, (name, index) in enumerate(todo, start=1):
            outcome = sandbox.run(targets[name], args.seed, index,
                                  folder / 'run', args.limit)
            outcome = shortened(outcome, folder)
            counts[name][outcome.kind] += 1
            counts[name]['seconds'] += outcome.seconds
            outcomes.append(
                dict(
                    target=name,
                    seed=args.seed,
                    index=index,
                    **outcome._asdict()))
            say(name, args.seed, index, outcome, args.verbose)
            sys.stdout.flush()
            progress.update(done, sum(c['failed'] for c in counts.values()))
    if args.report:
        Path(args.report).write_text(json.dumps(outcomes, indent=1))
    fields = ('refused', 'used', 'failed')
    print(
        tabulate([[
            name,
            sum(count[f] for f in fields), *(count[f]
                                             for f in fields), count['seconds']
        ] for name, count in counts.items()],
                 headers=['target', 'inputs', *fields, 'seconds'],
                 floatfmt='.0f'))
    sys.exit(1 if any(count['failed'] for count in counts.values()) else 0)


if __name__ == '__main__':
    main()
