"""Trains PSS-Net, random sampling, MutualNet and US-Net, and compares them.

Every run is ``tools/train.py`` on a config that is written for it: the
method's, with :func:`setting` on top, which is the same for all. A run that was
interrupted goes on from its last epoch, and one that has its results is not
repeated. ``make compare`` calls this.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Dict, List, NamedTuple, Sequence

import torch
from compare_report import report_study
from mmengine.config import Config

from pss.apis import load_config
from pss.cli import run
from pss.errors import InputError
from pss.evaluation import read_results, report_files
from pss.files import read_json, system_errors, write_json, write_text

# Of an iteration, in the mean. Forward passes alone count as a third; shrinking
# that starts at half of the training spares two passes of three until then.
PASSES = dict(
    pss=3,
    pss_additive=3,
    random=3,
    mutualnet=4,
    usnet=4,
    need=3,
    shrink=2,
    best_of=4,
    alpha=3,
    widths=3,
    widths_random=3)
FILES = ('results', 'published', 'run')  # of a run, with .json
PACKAGES = ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmpretrain', 'numpy')


class Run(NamedTuple):
    """One training.

    Attributes:
        method: one of :data:`METHODS` or :data:`OPTIONS`.
        epochs: its length.
        seed: of the initial weights, the images and, unless ``draws`` says
            otherwise, the draws of subnets.
        draws: seed of the draws.
    """
    method: str
    epochs: int
    seed: int
    draws: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return (f'{self.method}_{self.epochs}ep_seed{self.seed}'
                f'_draws{self.draws}')


def _sampler(**kwargs: Any) -> Dict[str, Any]:
    return dict(default_hooks=dict(pss_sampler=dict(sampler=kwargs)))


# with each width on its own
USNET_RANGE = dict(
    model=dict(
        backbone=dict(
            search_space=dict(multipliers=(0.32, 1.), resolutions=[28]))))

METHODS = ('pss', 'pss_additive', 'random', 'mutualnet', 'usnet')
# Each on top of pss_additive and its space, see docs/method.md.
OPTIONS: Dict[str, Dict[str, Any]] = dict(
    need=_sampler(need=0.3),
    shrink=_sampler(shrink_from=0.5),
    best_of=_sampler(best_of=3),
    alpha=dict(
        model=dict(distillation=dict(type='pss.AlphaDivergence')),
        optim_wrapper=dict(clip_grad=dict(type='value', clip_value=1.))),
    widths=USNET_RANGE,
    # the same without priorities
    widths_random=dict(**USNET_RANGE, **_sampler(p=dict(ratio=1.))))

# The first three stages of ResNet-18, an eighth as wide. Its dearest subnet
# costs 5.3 times the cheapest. US-Net, which has one resolution, goes down to a
# multiplier of 0.32 to reach about as little.
SPACES: Dict[str, Dict[str, Any]] = dict(
    **{
        method:
        dict(
            multipliers=(0.5, 1.), resolutions=dict(start=18, stop=28, step=2))
        for method in ('pss', 'pss_additive', 'random')
    },
    mutualnet=dict(multipliers=(0.5, 1.), resolutions=[18, 20, 24, 28]),
    usnet=dict(multipliers=(0.32, 1.), resolutions=[28]))

EPOCHS = 24
# for all of them, so that runs stay comparable
SEARCH = dict(candidates=16, finalists=3)
BATCH_SIZE = 128
LEARNING_RATE = 0.05
# Every second of the training images, so that a training reaches the point from
# where more of it hardly helps.
SHARE = 2
DATA_ROOT = 'data/fashion_mnist'
REPORT = 'compare_fashion_mnist'


def train_set() -> Dict[str, Any]:
    """The training images, neither moved nor flipped."""
    images = dict(
        type='FashionMNIST',
        data_root=DATA_ROOT,
        split='train',
        download=False,
        pipeline=[dict(type='PackInputs')])
    others = dict(
        type='pss.HeldOutSplit', every=12, held_out=False, dataset=images)
    return dict(
        _delete_=True,
        type='pss.HeldOutSplit',
        every=SHARE,
        held_out=True,
        dataset=others)


def setting(method: str, epochs: int) -> Dict[str, Any]:
    """What runs train with, on top of their Fashion-MNIST configs; only the
    space depends on the method."""
    return dict(
        model=dict(
            backbone=dict(
                _delete_=True,
                type='pss.SlimmableResNet',
                depth=18,
                num_stages=3,
                strides=(1, 2, 2),
                dilations=(1, 1, 1),
                out_indices=(2, ),
                stem_channels=8,
                base_channels=8,
                search_space=dict(SPACES[method], divisor=1)),
            head=dict(in_channels=32)),
        train_dataloader=dict(
            batch_size=BATCH_SIZE, num_workers=0, dataset=train_set()),
        test_cfg=dict(
            calibration_dataloader=dict(dataset=train_set()), search=SEARCH),
        optim_wrapper=dict(optimizer=dict(lr=LEARNING_RATE)),
        param_scheduler=[
            dict(
                type='LinearLR',
                start_factor=0.01,
                by_epoch=False,
                begin=0,
                end=100),
            dict(
                type='CosineAnnealingLR',
                T_max=epochs,
                eta_min=0.,
                by_epoch=True,
                convert_to_iter_based=True),
        ],
        train_cfg=dict(max_epochs=epochs),
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        default_hooks=dict(
            logger=dict(interval=100),
            pss_sampler=dict(
                budgets=dict(
                    flops=dict(_delete_=True, start=0.15, stop=0.55,
                               step=0.1)))))


def runs_of(seeds: List[int],
            epochs: int,
            methods: Sequence[str] = METHODS) -> List[Run]:
    """The runs that compare methods, those of a seed together.

    Methods are compared at equal epochs and at equal network passes: an
    iteration with four passes counts as 4/3 of one with three.
    """
    runs = []
    for seed in seeds:
        runs += [Run(m, epochs, seed, seed) for m in methods]
        runs += [
            Run(m, epochs * PASSES['pss'] // PASSES[m], seed, seed)
            for m in methods if PASSES[m] != PASSES['pss']
        ]
    return runs


def checks_of(seeds: List[int], epochs: int) -> List[Run]:
    """The runs that say what the setting can see, all of random sampling: the
    same weights and images with other draws; half and twice the training."""
    first, *_ = seeds
    return [
        *(Run('random', epochs, first, first + draws)
          for draws in (0, 1000, 2000)),
        *(Run('random', length, seed, seed)
          for length in (epochs * 2, epochs, epochs // 2)
          for seed in seeds[:3]),
    ]


def config_of(task: Run) -> Config:
    """The config of a run."""
    method = task.method if task.method in METHODS else 'pss_additive'
    config = load_config(f'configs/{method}_mbv2_fashion_mnist.py')
    config.merge_from_dict(setting(method, task.epochs))
    config.merge_from_dict(OPTIONS.get(task.method, {}))
    config.merge_from_dict(
        dict(
            randomness=dict(seed=task.seed),
            default_hooks=dict(pss_sampler=dict(draw_seed=task.draws))))
    return config


class Study:
    """The runs of a comparison: trains them and reads what they left.

    Args:
        folder: holds a folder for each run.
        threads: how many one run computes with.
        earlier: entries of an earlier report; those of the same configs count
            as done.

    Attributes:
        running: the runs that are being trained.
    """

    def __init__(self,
                 folder: Path,
                 threads: int,
                 earlier: Sequence[Dict[str, Any]] = ()) -> None:
        self.folder = folder
        self._earlier = {entry['config']: entry for entry in earlier}
        self._texts: Dict[Run, str] = {}
        self._environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self._processes: List[subprocess.Popen] = []
        self.running: List[Run] = []
        self._stopped = threading.Event()

    def is_done(self, task: Run) -> bool:
        """Whether a run has its results, from the config it would have now."""
        if self._digest(task) in self._earlier:
            return True
        try:
            same = self._config(task).read_text(encoding='utf-8') == \
                self._text(task)
        except OSError:
            return False
        return same and all(path.is_file() for path in self._files(task))

    def _text(self, task: Run) -> str:
        """The config of a run, as text."""
        if task not in self._texts:
            self._texts[task] = config_of(task).pretty_text
        return self._texts[task]

    def _digest(self, task: Run) -> str:
        """Identifies a run by all that its config says."""
        return hashlib.sha256(self._text(task).encode()).hexdigest()

    def _config(self, task: Run) -> Path:
        # beside the folder, where MMEngine writes one of the same name
        return self.folder / f'{task.name}.py'

    def _files(self, task: Run) -> List[Path]:
        folder = self.folder / task.name
        return [folder / f'{name}.json' for name in FILES]

    def do(self, task: Run) -> Run:
        """Trains, searches and tests; tests the published choice too."""
        folder, config = self.folder / task.name, self._config(task)
        text = self._text(task)
        if not config.is_file() or config.read_text(encoding='utf-8') != text:
            shutil.rmtree(folder, ignore_errors=True)  # another setting's
            write_text(text, config)
        folder.mkdir(parents=True, exist_ok=True)
        self.running.append(task)
        with open(folder / 'output.log', 'a', encoding='utf-8') as log:
            self._call(log, 'tools/train.py', config, '--work-dir', folder,
                       '--resume')
            self._call(log, 'tools/test.py', config,
                       folder / f'epoch_{task.epochs}.pth', '--work-dir',
                       folder / 'published', '--out', folder / 'published.json',
                       '--cfg-options', 'test_cfg.search=None')
        self.running.remove(task)
        write_json(
            dict(train_seconds=_train_seconds(folder)), folder / 'run.json')
        return task

    def _call(self, log: IO[str], *words: Any) -> None:
        command = [sys.executable, *map(str, words)]
        print('+', *command[1:], file=log, flush=True)
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=self._environment)
        self._processes.append(process)
        if self._stopped.is_set():
            process.terminate()
        status = process.wait()
        self._processes.remove(process)
        if status:
            raise InputError(f'{" ".join(command[1:])} ended with status '
                             f'{status}; see {log.name}')

    def stop(self) -> None:
        """Ends the runs that are being trained."""
        self._stopped.set()
        for process in list(self._processes):
            process.terminate()

    def entry(self, task: Run) -> Dict[str, Any]:
        """A run's entry in the results of the comparison."""
        digest = self._digest(task)
        if digest in self._earlier:
            return self._earlier[digest]
        folder = self.folder / task.name
        searched, published = (
            read_results(folder / f'{name}.json') for name in FILES[:2])
        return dict(
            task._asdict(),
            config=digest,
            passes=PASSES[task.method],
            **read_json(folder / 'run.json'),
            results=_brief(searched),
            published=_brief(published))


def _brief(results: Dict[str, Any]) -> Dict[str, Any]:
    """Results without the subnets that were only evaluated."""
    return {k: v for k, v in results.items() if k != 'evaluated'}


def _train_seconds(folder: Path) -> float:
    """Seconds of the iterations, from the median of the logged times, which
    a run that was stopped for a while does not change."""
    rows = [
        json.loads(line) for log in folder.rglob('scalars.json')
        for line in log.read_text(encoding='utf-8').splitlines()
    ]
    rows = [row for row in rows if 'time' in row and 'loss' in row]
    last = max(row['step'] for row in rows)
    return round(statistics.median(row['time'] for row in rows) * last, 1)


def do_all(study: Study, runs: List[Run], jobs: int) -> None:
    """Does the runs that are missing, and prints how long the rest will take.
    """
    waiting = [task for task in runs if not study.is_done(task)]
    print(
        f'{len(runs) - len(waiting)} of {len(runs)} runs are done; {jobs} at '
        f'a time in {study.folder}',
        flush=True)
    # network passes measure how much is left
    size = {task: task.epochs * PASSES[task.method] for task in runs}
    left, started = sum(size[task] for task in waiting), time.monotonic()
    total = left
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(study.do, task) for task in waiting}
        try:
            while futures:
                done, futures = wait(futures, return_when=FIRST_COMPLETED)
                for task in (future.result() for future in done):
                    left -= size[task]
                    spent = time.monotonic() - started
                    rest = _rest(spent, total, left,
                                 [size[task] for task in study.running])
                    done_now = sum(map(study.is_done, runs))
                    print(
                        f'[{done_now}/{len(runs)}] {task.name}; '
                        f'{timedelta(seconds=round(spent))} gone, about '
                        f'{timedelta(seconds=round(rest))} left',
                        flush=True)
        except BaseException:
            for future in futures:
                future.cancel()
            study.stop()
            raise


def _rest(spent: float, total: float, left: float, running: List[int]) -> float:
    """Seconds left, supposing that runs in progress are half done."""
    half = sum(running) / 2
    return spent / (total - left + half) * (left - half)


def machine() -> Dict[str, Any]:
    """The machine this runs on."""
    lines = Path('/proc/cpuinfo').read_text().splitlines() \
        if Path('/proc/cpuinfo').is_file() else []
    names = [
        line.split(':')[1].strip() for line in lines
        if line.startswith('model name')
    ]
    gpus = [
        torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
    ]
    return dict(
        cpu=(names or [platform.processor()])[0],
        cores=os.cpu_count(),
        gpus=gpus,
        system=platform.system(),
        python=platform.python_version())


def origin(args: argparse.Namespace, jobs: int) -> Dict[str, Any]:
    """Where the figures come from: arguments, setting, machine, versions."""
    command = (f'make compare SEEDS="{" ".join(map(str, args.seeds))}" '
               f'EPOCHS={args.epochs}')
    if len(args.methods) < len(METHODS) + len(OPTIONS):
        command += f' METHODS="{" ".join(args.methods)}"'
    return dict(
        command=command,
        seeds=args.seeds,
        epochs=args.epochs,
        jobs=jobs,
        setting={m: setting(m, args.epochs)
                 for m in METHODS},
        options=OPTIONS,
        machine=machine(),
        versions={name: import_module(name).__version__
                  for name in PACKAGES})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, nargs='+', default=[*range(5)])
    parser.add_argument(
        '--epochs',
        type=int,
        default=EPOCHS,
        help='a multiple of 4 (default: %(default)s)')
    parser.add_argument(
        '--methods',
        nargs='+',
        default=[*METHODS, *OPTIONS],
        choices=[*METHODS, *OPTIONS],
        metavar='METHOD',
        help='of %(choices)s; the last six are options of pss_additive '
        '(default: all)')
    parser.add_argument(
        '--jobs',
        type=int,
        default=None,
        help='runs at a time (default: one a core, four with a GPU)')
    parser.add_argument(
        '--checks-only',
        action='store_true',
        help='do only the runs that say what the setting can see')
    parser.add_argument(
        '--report-only',
        action='store_true',
        help='train nothing, and report the runs that are done')
    parser.add_argument('--work-dir', default='work_dirs/compare')
    parser.add_argument(
        '--out',
        help='JSON file; the reports beside it count as done (default: '
        f'{REPORT}.json in benchmarks/results, with the number of epochs in '
        f'its name unless it is {EPOCHS})')
    args = parser.parse_args()
    if args.out is None:
        length = '' if args.epochs == EPOCHS else f'_{args.epochs}ep'
        args.out = f'benchmarks/results/{REPORT}{length}.json'
    cores = os.cpu_count() or 1
    jobs = args.jobs if args.jobs is not None else \
        4 if torch.cuda.is_available() else cores
    if jobs < 1:
        raise InputError(f'--jobs={jobs}: expected at least 1')
    if args.epochs < 4 or args.epochs % 4:
        raise InputError(f'--epochs={args.epochs}: expected a multiple of 4, '
                         'since four passes train three quarters as long')
    if len(set(args.seeds)) < len(args.seeds) or min(args.seeds) < 0 or \
            max(args.seeds) >= 2 ** 32:
        raise InputError(f'--seeds={args.seeds}: expected different ones from '
                         '0 to 2**32 - 1')
    for name, folder in (('out', report_files(args.out)[0].parent),
                         ('work-dir', Path(args.work_dir))):
        with system_errors(f'--{name}: {folder} cannot be made'):
            folder.mkdir(parents=True, exist_ok=True)
    # SystemExit ends the trainings too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = Path(args.out)
    reports = {*out.parent.glob(f'{REPORT}*.json'), *([out] * out.is_file())}
    earlier = [
        entry for path in sorted(reports) for entry in read_json(path)['runs']
        if 'config' in entry
    ]
    study = Study(Path(args.work_dir), max(cores // jobs, 1), earlier)
    # without the checks, the others say nothing
    runs = checks_of(args.seeds, args.epochs)
    if not args.checks_only:
        for group in (METHODS, OPTIONS):
            runs += runs_of(args.seeds, args.epochs,
                            [m for m in group if m in args.methods])
    runs = [*dict.fromkeys(runs)]  # a check may be one of the others
    found = origin(args, jobs)
    if not args.report_only:
        try:
            do_all(study, runs, jobs)
        except KeyboardInterrupt:
            sys.exit(130)
    done = [study.entry(task) for task in runs if study.is_done(task)]
    if not done:
        raise InputError(f'{args.work_dir}: no run is done yet')
    report_study(dict(found, planned=len(runs), runs=done), args.out)


if __name__ == '__main__':
    run(main)
