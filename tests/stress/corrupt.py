"""Damages files in bulk, and reads them.

``python tests/stress/corrupt.py --num 200`` makes 200 damaged variants each of
a checkpoint, a results file and a subnet file: flipped bits, missing ends,
values of the wrong type, and for checkpoints pickles that would run code. Each
is read and used as the tools use it; checkpoints are tested, and training
resumes from them. Every variant must do one of two things:

- fail with one of our errors, ``InputError`` or ``DivergedError``;
- be used to the end. A checkpoint whose bytes were changed must then hold the
  same contents as before, to the last bit.

It must not end with another error, take longer than a minute, run code, or
crash, which ends this program too.
"""

import argparse
import collections
import copy
import faulthandler
import io
import json
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
import uuid
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch
from mmengine.runner import Runner

from pss.apis import load_config
from pss.cli import strip_training
from pss.engine.checkpoints import check_checkpoint, read_checkpoint
from pss.errors import DivergedError, InputError
from pss.evaluation import (
    plot_results,
    read_results,
    results_table,
    write_csv,
    write_page,
)
from pss.files import write_json
from pss.structures import read_subnets
from tests.building import SMALL_RESNET
from tests.images import write_images
from tests.stress.training import CONFIG
from tests.training import begin_runs_sooner, shrink

OURS = (InputError, DivergedError)
SECONDS = 60
WRONG = (None, 'text', '', -1, 0, 10**30, True, 1.5, float('nan'), float('inf'),
         [], [1], [None], {}, {
             'a': 1
         }, {
             1: 2
         }, [[1]], 'a' * 999)
WRONG_TENSORS = (torch.zeros(3), torch.zeros(
    ()), torch.zeros(2, 2).bool(), torch.full((4, ),
                                              float('nan')), b'bytes', 1j)


class Evil:
    """An object whose pickle is a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def evil_objects(marker):
    """Objects that write a file when a pickle that runs code loads them."""
    code = f'open({str(marker)!r}, "w").write("ran")'
    return [
        Evil(os.system, f'touch {marker}'),
        Evil(exec, code),
        Evil(eval, code),
        Evil(open, str(marker), 'w'),
        Evil(__import__, 'os'),
        Evil(collections.Counter, Evil(os.mkdir, str(marker))),
        Evil(torch.load, str(marker))
    ]


def places(value, path=()):
    """The paths to everything inside lists and dicts."""
    items = value.items() if isinstance(value, dict) else \
        enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def exchanged(value, path, new, delete=False):
    """A copy with the value at a path replaced, or removed."""
    first, rest = path[0], path[1:]
    whole = copy.copy(value)
    if isinstance(whole, tuple):
        whole = list(whole)
    if delete and not rest:
        del whole[first]
    elif not rest:
        whole[first] = new
    else:
        whole[first] = exchanged(whole[first], rest, new, delete)
    return whole


def wrong_types(value, rng, wrong, taken_out=0.15):
    """A copy with one value of another type, and what was changed.

    Each entry at the top level is equally likely, whatever its size.
    """
    everything = list(places(value))
    tops = sorted({path[0] for path in everything}, key=str)
    top = tops[rng.integers(len(tops))]
    inside = [path for path in everything if path[0] == top]
    path = inside[rng.integers(len(inside))]
    new = wrong[rng.integers(len(wrong))]
    delete = rng.random() < taken_out
    what = 'taken out' if delete else f'= {str(new)[:40]!r}'
    return (exchanged(value, path, new,
                      delete), f'{"/".join(map(str, path))} {what}')


def flipped(data, rng, begin=0):
    """A copy with one to eight bits flipped after ``begin``."""
    data = bytearray(data)
    bits = 1 + rng.integers(8)
    for place in rng.integers(begin, len(data), bits):
        data[place] ^= 1 << int(rng.integers(8))
    return bytes(data), f'{bits} bits flipped after {begin}'


def cut(data, rng):
    """A copy without its end."""
    length = int(rng.integers(len(data)))
    return data[:length], f'cut to {length} of {len(data)} bytes'


def small_config(work_dir, data, **changes):
    """The config of two epochs of two iterations of a small network."""
    config = shrink(load_config(CONFIG), data, work_dir, batch_size=6)
    config.merge_from_dict({
        'model.backbone':
        dict(
            _delete_=True,
            **dict(SMALL_RESNET, search_space=dict(resolutions=[20, 24, 28]))),
        'model.head.in_channels':
        32,
        'default_hooks.pss_sampler':
        dict(
            sampler=dict(pool_size=2),
            budgets=dict(_delete_=True, flops=dict(pools=2))),
        'train_cfg.max_epochs':
        2,
        'val_cfg':
        None,
        'val_dataloader':
        None,
        'val_evaluator':
        None,
        'log_level':
        'ERROR',
        'experiment_name':
        uuid.uuid4().hex,
        **changes
    })
    return config


def train(work_dir, data, **changes):
    """Trains from the beginning or from a checkpoint."""
    config = small_config(work_dir, data, **changes)
    runner = Runner.from_cfg(config)
    if config.resume:  # like tools/train.py
        check_checkpoint(config.load_from, runner.model)
    runner.train()


def test(work_dir, data, path):
    """Chooses and tests subnets of a checkpoint, like tools/test.py."""
    config = small_config(work_dir, data, test_cfg=dict(candidates=1))
    strip_training(config, str(path))
    runner = Runner.from_cfg(config)
    check_checkpoint(path, runner.model, pools=True)
    runner.test()


def same(one, two):
    """Whether the contents of two checkpoints are the same, bit by bit."""

    def data(value):
        file = io.BytesIO()
        torch.save(value, file)
        with zipfile.ZipFile(file) as archive:
            return [archive.read(name) for name in sorted(archive.namelist())]

    return data(one) == data(two)


class Checkpoints:
    """Variants of a checkpoint."""

    name = 'checkpoint'

    def __init__(self, folder):
        self.folder, self.data = folder, folder / 'images'
        write_images(self.data, train=13, test=4)
        train(folder / 'work', self.data)
        self.path = folder / 'work' / 'epoch_1.pth'
        self.bytes = self.path.read_bytes()
        self.content = read_checkpoint(self.path)
        self.marker = folder / 'ran'

    def variant(self, i, rng, path):
        """Writes a variant and says what it is."""
        kind = i % 8
        if kind in (0, 1):  # half of them near the end, in the structure
            begin = 0 if kind else len(self.bytes) - 20_000
            data, what = flipped(self.bytes, rng, max(begin, 0))
        elif kind == 2:
            with zipfile.ZipFile(self.path) as archive:
                record = next(n for n in archive.namelist()
                              if n.endswith('data.pkl'))
                contents = {n: archive.read(n) for n in archive.namelist()}
            contents[record], what = flipped(contents[record], rng)
            file = io.BytesIO()  # with correct checksums
            with zipfile.ZipFile(file, 'w') as archive:
                for name, inner in contents.items():
                    archive.writestr(name, inner)
            data, what = file.getvalue(), f'the pickle: {what}'
        elif kind == 3:
            data, what = cut(self.bytes, rng)
        elif kind == 4 and i % 16 == 4:
            objects = evil_objects(self.marker)
            evil = objects[rng.integers(len(objects))]
            whole, where = wrong_types(self.content, rng, [evil], 0)
            if rng.random() < 0.3:
                data = pickle.dumps(evil)
            else:
                file = io.BytesIO()
                torch.save(whole, file)
                data = file.getvalue()
            what = f'code {evil.call[0].__name__}, {where}'
        elif kind == 4:
            line = f'open({str(self.marker)!r}, "w").write("ran")\n'
            whole = exchanged(self.content, ('meta', 'cfg'), line)
            whole = exchanged(whole, ('meta', 'config'), line)
            file = io.BytesIO()
            torch.save(whole, file)
            data, what = file.getvalue(), 'a config in it that is a program'
        else:
            whole, what = wrong_types(self.content, rng, WRONG + WRONG_TENSORS)
            file = io.BytesIO()
            torch.save(whole, file)
            data = file.getvalue()
        path.write_bytes(data)
        return what, kind in (0, 1, 3) or what.startswith('code')

    def use(self, path, bytes_changed):
        """Reads it, tests with it and resumes from it."""
        content = read_checkpoint(path)
        if bytes_changed and not same(content, self.content):
            raise AssertionError('it loads with other contents')
        refused = None
        try:
            test(self.folder / 'tested', self.data, path)
        except OURS as error:
            refused = error
        # a test may fail where training does not, and the other way round
        train(
            self.folder / 'resumed',
            self.data,
            load_from=str(path),
            resume=True)
        if refused:
            raise refused


class Results:
    """Variants of a results file."""

    name = 'results file'

    def __init__(self, folder):
        self.folder = folder

        def row(i, **pool):
            return dict(
                **pool,
                subnet=dict(resolution=20 + i, widths=[24, 16 + 8 * i]),
                mflops=9.5 + i,
                latency_cpu=100. + i,
                top1=80. + i,
                held_out_top1=79. + i)

        self.content = dict(
            resources=dict(flops='MFLOPs', latency_cpu='us'),
            largest=row(9),
            smallest=row(0),
            pools=[
                row(i, resource='flops', level=9.5 + i, score=-0.5)
                for i in range(1, 6)
            ],
            evaluated=[row(i, images=500) for i in range(3)])
        write_json(self.content, folder / 'results.json')
        self.bytes = (folder / 'results.json').read_bytes()

    def variant(self, i, rng, path):
        """Writes a variant and says what it is."""
        return text_variant(self, i, rng, path)

    def use(self, path, bytes_changed):
        """Reads it, and writes the table, plots and the page made from it."""
        results = read_results(path)
        results_table(results)
        write_csv(results, self.folder / 'results.csv')
        for resource in results.get('resources') or ['flops']:
            plot_results({'a': results}, self.folder / 'results.png', resource)
        write_page({'a': results}, self.folder / 'results.html')


class Subnets:
    """Variants of a subnet file."""

    name = 'subnet file'

    def __init__(self, folder):
        from pss.models import SlimmableMobileNetV2
        self.space = SlimmableMobileNetV2().search_space
        codes = self.space.random(np.random.default_rng(0), 6)
        self.content = [
            dict(s.as_dict(), mflops=80.5) for s in self.space.decode(codes)
        ]
        write_json(self.content, folder / 'subnets.json')
        self.bytes = (folder / 'subnets.json').read_bytes()

    def variant(self, i, rng, path):
        """Writes a variant and says what it is."""
        return text_variant(self, i, rng, path)

    def use(self, path, bytes_changed):
        """Reads it, and checks that the subnets are in the space."""
        self.space.encode(read_subnets(path, self.space))


def text_variant(kind, i, rng, path):
    """A variant of a JSON file."""
    if i % 4 == 0:
        data, what = flipped(kind.bytes, rng)
    elif i % 4 == 1:
        data, what = cut(kind.bytes, rng)
    else:
        whole, what = wrong_types(kind.content, rng, WRONG)
        data = json.dumps(whole).encode()
        if i % 16 == 3:
            data, what = data.decode().encode('utf-16'), f'UTF-16, {what}'
        elif i % 16 == 7:
            data = data.replace(b'1', b'1' * 400)
            what = f'numbers of 400 digits, {what}'
    path.write_bytes(data)
    return what, i % 4 < 2


def too_long(number, frame):
    raise TimeoutError(f'more than {SECONDS} s')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--num',
        type=int,
        default=200,
        help='variants of each file (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--verbose',
        action='store_true',
        help='also print what each variant did')
    args = parser.parse_args()
    faulthandler.enable()
    torch.set_num_threads(1)
    begin_runs_sooner()
    signal.signal(signal.SIGALRM, too_long)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for make in (Checkpoints, Results, Subnets):
            failures += check(make, Path(folder), args)
    sys.exit(1 if failures else 0)


def check(make, folder, args):
    """Reads variants of one file and returns how many failed."""
    quiet = io.StringIO()
    with redirect_stdout(quiet), redirect_stderr(quiet):
        kind = make(folder)
        plain = folder / 'plain'
        plain.write_bytes(kind.bytes)
        kind.use(plain, True)
    counts = collections.Counter()
    begun = time.monotonic()
    for i in range(args.num):
        rng = np.random.default_rng([args.seed, i])
        path = folder / 'damaged'
        what, bytes_changed = kind.variant(i, rng, path)
        signal.alarm(SECONDS)
        try:
            with redirect_stdout(quiet), redirect_stderr(quiet):
                kind.use(path, bytes_changed)
            outcome = 'used'
        except OURS as error:
            outcome = 'refused'
            what = f'{what}: {error}'
        except BaseException as error:
            outcome = 'FAILED'
            place = traceback.extract_tb(error.__traceback__)[-1]
            what = (f'{what}: {type(error).__name__}: {error} '
                    f'({place.filename}:{place.lineno})')
        finally:
            signal.alarm(0)
        if (folder / 'ran').exists():
            outcome = 'FAILED'
            what = f'{what}: it ran code'
            (folder / 'ran').unlink()
        counts[outcome] += 1
        if args.verbose or outcome == 'FAILED':
            print(f'{kind.name} {i}: {outcome}: {what}', flush=True)
    print(
        f'{kind.name}: {args.num} variants in '
        f'{time.monotonic() - begun:.0f} s: {counts["refused"]} refused with '
        f'one of our errors, {counts["used"]} used to the end, '
        f'{counts["FAILED"]} failed',
        flush=True)
    return counts['FAILED']


if __name__ == '__main__':
    main()
