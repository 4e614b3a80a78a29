"""Trains PSS-Net, random sampling, MutualNet and US-Net, and compares them.

Every run is ``tools/train.py`` on a config that is written for it: the
method's, with :func:`setting` on top, which is the same for all. A run that has
its results already is not repeated. ``make compare`` calls this.
"""

import argparse
import json
import os
import platform
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
from typing import IO, Any, Dict, List, NamedTuple

import torch
from compare_report import report_study
from mmengine.config import Config

from pss.apis import load_config
from pss.cli import run
from pss.errors import InputError
from pss.evaluation import read_results, report_files
from pss.files import read_json, system_errors, write_json, write_text

METHODS = ('pss', 'random', 'mutualnet', 'usnet')
PASSES = dict(pss=3, random=3, mutualnet=4, usnet=4)
PACKAGES = ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmpretrain', 'numpy')

# subnets drawn from each level that are ranked next to the pool's
DRAWS = 10

# The pieces of PSS-Net, one changed at a time. The constant p is the mean of
# the decaying one over a training, (1 - 0.01) / ln(100).
ABLATIONS = {
    'pool_size_1': dict(pool_size=1),
    'pool_size_10': dict(pool_size=10),
    'p_constant': dict(p=dict(start=0.215, ratio=1.)),
    'draw_uniform': dict(t=dict(start=1e9, ratio=1.)),
    'momentum_0': dict(score_momentum=0.),
}


class Run(NamedTuple):
    """One training."""
    method: str
    variant: str  # a changed PSS-Net; the method's own name otherwise
    iterations: int
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f'{self.variant}_{self.iterations}_seed{self.seed}'


def setting(iterations: int) -> Dict[str, Any]:
    """What all methods train with, on top of their Fashion-MNIST configs.

    Four pools rather than eleven, so that their 200 places fill in a third of
    600 iterations; 32 images a batch, and a learning rate for that; 2,500
    images held out, and 1,024 to calibrate on.
    """
    held_out = dict(every=24)
    return dict(
        train_dataloader=dict(batch_size=32, dataset=held_out),
        optim_wrapper=dict(optimizer=dict(lr=LEARNING_RATE)),
        param_scheduler=[
            dict(
                type='LinearLR',
                start_factor=0.01,
                by_epoch=False,
                begin=0,
                end=max(iterations // 20, 1)),
            dict(
                type='CosineAnnealingLR',
                T_max=iterations,
                eta_min=0.,
                by_epoch=False),
        ],
        train_cfg=dict(
            _delete_=True, type='IterBasedTrainLoop', max_iters=iterations),
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        test_cfg=dict(
            calibration_dataloader=dict(dataset=held_out),
            calibration_batches=2,
            selection_dataloader=dict(dataset=held_out)),
        log_processor=dict(by_epoch=False),
        default_hooks=dict(
            logger=dict(interval=10, log_metric_by_epoch=False),
            checkpoint=dict(by_epoch=False, interval=iterations),
            pss_sampler=dict(
                budgets=dict(flops=dict(start=10, stop=19, step=3)))))


LEARNING_RATE = 0.01


def runs_of(seeds: List[int], iterations: int, piece_seeds: int) -> List[Run]:
    """All runs, those of a seed together.

    Methods are compared at equal iterations and at equal network passes: an
    iteration with four passes counts as 4/3 of one with three.

    Args:
        seeds: each trains every method once.
        iterations: the length of a run.
        piece_seeds: how many of the seeds train the variants of PSS-Net too.
    """
    fewer = iterations * PASSES['pss'] // PASSES['usnet']
    runs = []
    for place, seed in enumerate(seeds):
        runs += [Run(m, m, iterations, seed) for m in METHODS]
        runs += [Run(m, m, fewer, seed) for m in METHODS if PASSES[m] == 4]
        if place < piece_seeds:
            runs += [
                Run('pss', f'pss_{name}', iterations, seed)
                for name in ABLATIONS
            ]
    return runs


def config_of(task: Run) -> Config:
    """The config of a run."""
    config = load_config(f'configs/{task.method}_mbv2_fashion_mnist.py')
    config.merge_from_dict(setting(task.iterations))
    config.merge_from_dict(dict(randomness=dict(seed=task.seed)))
    changed = ABLATIONS.get(task.variant[len('pss_'):], {})
    config.merge_from_dict(
        dict(default_hooks=dict(pss_sampler=dict(sampler=changed))))
    return config


class Study:
    """The runs of a comparison: trains them and reads what they left.

    Args:
        folder: holds a folder for each run.
        threads: how many one run computes with.

    Attributes:
        running: the runs that are being trained.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        # glibc keeps memory rather than giving it back for every activation
        self._environment = dict(
            os.environ,
            OMP_NUM_THREADS=str(threads),
            MALLOC_MMAP_THRESHOLD_='4294967296',
            MALLOC_TRIM_THRESHOLD_='4294967296',
            MALLOC_TOP_PAD_='268435456')
        self._processes: List[subprocess.Popen] = []
        self.running: List[Run] = []
        self._stopped = threading.Event()

    def is_done(self, task: Run) -> bool:
        """Whether a run has its results, from the config it would have now."""
        try:
            same = self._config(task).read_text(encoding='utf-8') == \
                config_of(task).pretty_text
        except OSError:
            return False
        return same and all(path.is_file() for path in self._files(task))

    def _config(self, task: Run) -> Path:
        # beside the folder, where MMEngine writes one of the same name
        return self.folder / f'{task.name}.py'

    def _files(self, task: Run) -> List[Path]:
        folder = self.folder / task.name
        files = [folder / 'results.json', folder / 'run.json']
        return files + [folder / 'ranks.json'] if _is_ranked(task) else files

    def do(self, task: Run) -> Run:
        """Trains, chooses and tests; ranks the pools' subnets for PSS-Net."""
        folder = self.folder / task.name
        folder.mkdir(parents=True, exist_ok=True)
        for path in self._files(task):
            path.unlink(missing_ok=True)
        config = self._config(task)
        write_text(config_of(task).pretty_text, config)
        started = time.monotonic()
        self.running.append(task)
        with open(folder / 'output.log', 'w', encoding='utf-8') as log:
            self._call(log, 'tools/train.py', config, '--work-dir', folder)
            whole = time.monotonic() - started
            if _is_ranked(task):
                self._call(log, 'tools/analysis_tools/rank_pools.py', config,
                           folder / f'iter_{task.iterations}.pth', '--work-dir',
                           folder, '--draws', DRAWS, '--out',
                           folder / 'ranks.json')
        self.running.remove(task)
        write_json(
            dict(
                train_seconds=_train_seconds(folder, task.iterations),
                seconds=round(whole, 1)), folder / 'run.json')
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
        folder = self.folder / task.name
        entry = dict(
            task._asdict(),
            passes=PASSES[task.method],
            **read_json(folder / 'run.json'),
            results=read_results(folder / 'results.json'))
        if _is_ranked(task):
            entry['ranks'] = read_json(folder / 'ranks.json')
        return entry


def _is_ranked(task: Run) -> bool:
    return task.variant == 'pss'


def _train_seconds(folder: Path, iterations: int) -> float:
    """Seconds of the iterations, from the mean time of one in the log."""
    log = max(folder.rglob('scalars.json'), key=lambda p: p.stat().st_mtime)
    lines = map(json.loads, log.read_text(encoding='utf-8').splitlines())
    times = [
        line['time'] for line in lines if 'time' in line and 'loss' in line
    ]
    return round(statistics.mean(times) * iterations, 1)


def do_all(study: Study, runs: List[Run], jobs: int) -> None:
    """Does the runs that are missing, and prints how long the rest will take.
    """
    waiting = [task for task in runs if not study.is_done(task)]
    print(
        f'{len(runs) - len(waiting)} of {len(runs)} runs are done; {jobs} at '
        f'a time in {study.folder}',
        flush=True)
    # network passes measure how much is left
    size = {task: task.iterations * PASSES[task.method] for task in runs}
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
                        f'[{done_now}/{len(runs)}] {task.variant}, '
                        f'{task.iterations} iterations, seed {task.seed}; '
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
    seeds = ' '.join(map(str, args.seeds))
    return dict(
        command=f'make compare SEEDS="{seeds}" ITERS={args.iters}',
        seeds=args.seeds,
        piece_seeds=args.seeds[:args.piece_seeds],
        iterations=args.iters,
        jobs=jobs,
        setting=setting(args.iters),
        ablations=ABLATIONS,
        machine=machine(),
        versions={name: import_module(name).__version__
                  for name in PACKAGES})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--iters', type=int, default=600)
    parser.add_argument(
        '--piece-seeds',
        type=int,
        default=2,
        help='how many of the seeds train the variants of PSS-Net too '
        '(default: %(default)s)')
    parser.add_argument(
        '--jobs',
        type=int,
        default=None,
        help='runs at a time (default: one a core, four with a GPU)')
    parser.add_argument('--work-dir', default='work_dirs/compare')
    parser.add_argument(
        '--out', default='benchmarks/results/'
        'compare_fashion_mnist.json')
    args = parser.parse_args()
    cores = os.cpu_count() or 1
    jobs = args.jobs if args.jobs is not None else \
        4 if torch.cuda.is_available() else cores
    for name, value, least in (('iters', args.iters, 4), ('jobs', jobs, 1),
                               ('piece-seeds', args.piece_seeds, 0)):
        if value < least:
            raise InputError(f'--{name}={value}: expected at least {least}')
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
    study = Study(Path(args.work_dir), max(cores // jobs, 1))
    runs = runs_of(args.seeds, args.iters, args.piece_seeds)
    found = origin(args, jobs)
    try:
        do_all(study, runs, jobs)
    except KeyboardInterrupt:
        sys.exit(130)
    report_study(
        dict(found, runs=[study.entry(task) for task in runs]), args.out)


if __name__ == '__main__':
    run(main)
