"""How long a training takes until its first iteration, and its memory.

An ImageNet config reads a list of so many entries, in mmpretrain's format, that
name a few JPEG files; a 25th as many are validation images. Time is the main
process's CPU time until the first batch is there, imports included. Its memory
is the peak until then and what it holds then; a worker's is what it shares with
no other process.
"""

import argparse
import contextlib
import json
import multiprocessing
import re
import tempfile
import time
from pathlib import Path
from typing import Any, Dict

from loading import write_image
from mmengine.hooks import Hook

from pss.apis import load_config
from pss.checks import check_integer
from pss.cli import build_inspected, merge_options, run, verify_config
from pss.files import write_json

IMAGES = 20  # files; all entries name one of them
LEAST = 5_000  # entries; one in 50 is held out, and a search needs 100
CLASSES = 1000
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader',
           'val_cfg.calibration_dataloader', 'test_cfg.calibration_dataloader',
           'test_cfg.selection_dataloader')


class Started(BaseException):
    """Ends the training where its first iteration would begin."""


class Measuring(Hook):
    """Measures when the first batch is there."""
    found: Dict[str, Any]

    def before_train_iter(self, *args: Any, **kwargs: Any) -> None:
        workers = [process.pid for process in multiprocessing.active_children()]
        self.found = dict(
            seconds=time.process_time(),
            peak_mb=megabytes('status', 'VmHWM'),
            held_mb=megabytes('status', 'VmRSS'),
            worker_private_mb=[
                megabytes('smaps_rollup', 'Private_\\w+', pid)
                for pid in workers
            ])
        raise Started


def megabytes(file: str, field: str, pid: Any = 'self') -> float:
    """The sum of the fields of a file in ``/proc/PID`` whose names match."""
    text = Path('/proc', str(pid), file).read_text()
    found = re.findall(f'^{field}:\\s+(\\d+) kB', text, re.MULTILINE)
    return sum(map(int, found)) * 1024 / 1e6


def write_list(root: Path, split: str, entries: int) -> None:
    """Writes ``meta/SPLIT.txt``, one class after another, and its images."""
    names = []
    for i in range(IMAGES):
        name = f'n{i:08}/n{i:08}_{i:05}.JPEG'
        path = root / split / name
        path.parent.mkdir(parents=True)
        write_image(path, i)
        names.append(name)
    (root / 'meta').mkdir(exist_ok=True)
    with open(root / 'meta' / f'{split}.txt', 'w') as file:
        for i in range(entries):
            file.write(f'{names[i % IMAGES]} {i * CLASSES // entries}\n')


def measure(config: str, entries: int, workers: int) -> Dict[str, Any]:
    """Starts a training in this process, which should have done nothing else.

    Returns:
        ``seconds`` of CPU time, ``import_seconds`` of them before this call,
        and megabytes: ``peak_mb`` and ``held_mb`` of this process,
        ``worker_private_mb`` of each worker.
    """
    import_seconds = time.process_time()
    cfg = load_config(config)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_list(root, 'train', entries)
        write_list(root, 'val', max(entries // 25, 1))
        writing = time.process_time() - import_seconds
        options: Dict[str, Any] = dict(
            work_dir=str(root / 'work'), log_level='ERROR')
        for name in LOADERS:
            inner = '' if name == 'test_dataloader' else '.dataset'
            options.update({
                f'{name}.dataset{inner}.data_root': folder,
                f'{name}.batch_size': 4,
                f'{name}.num_workers': workers
            })
        merge_options(cfg, options)
        verify_config(cfg)
        runner = build_inspected(cfg)
        hook = Measuring()
        runner.register_hook(hook)
        with contextlib.suppress(Started):
            runner.train()
    found = dict(hook.found, import_seconds=import_seconds)
    found['seconds'] -= writing
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--config', default='configs/pss_mbv2_imagenet.py')
    parser.add_argument(
        '--entries', type=int, default=1_280_000, help='in the training list')
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--out', default='benchmarks/results/start_up.json')
    args = parser.parse_args()
    check_integer('--entries', args.entries, LEAST)
    check_integer('--workers', args.workers, 1)
    found = dict(
        entries=args.entries,
        workers=args.workers,
        **measure(args.config, args.entries, args.workers))
    print(json.dumps(found, indent=2))
    write_json(found, args.out)


if __name__ == '__main__':
    run(main)
