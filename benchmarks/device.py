"""A device bank beside PyTorch's classifier and one plain ONNX file.

MobileNetV2 at ImageNet's sizes, with random weights and a subnet for each of 22
pools. Cold start and peak memory are those of processes of their own; forward
passes take turns in one process, on one thread each.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import torch
from switching import random_bank

from pss.apis import AdaptiveClassifier, DeviceExporter, Exporter
from pss.cli import run
from pss.deploy import write_bank
from pss.files import write_json
from pss.runtime import AdaptiveSession

ROOT = Path(__file__).parents[1]
# Each ends with a prediction of the most accurate subnet.
PROGRAMS = dict(
    classifier='''
from pss.apis import AdaptiveClassifier
import torch
torch.set_num_threads(1)
net = AdaptiveClassifier('bank')
net.predict(image)
''',
    session='''
from pss_runtime import AdaptiveSession
net = AdaptiveSession('device', threads=1)
net.predict(image)
''',
    plain='''
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
net = onnxruntime.InferenceSession('largest.onnx', options)
shape = [1, *net.get_inputs()[0].shape[1:]]
net.run(None, {'images': np.zeros(shape, np.float32)})
''')
MEASURED = '''
import json, re, time
start = time.perf_counter()
import numpy as np
image = np.zeros(({size}, {size}, 3), np.uint8)
{program}
taken = time.perf_counter() - start
# rusage would count the parent's memory too
status = open('/proc/self/status').read()
peak = int(re.search(r'VmHWM:\\s*(\\d+)', status)[1]) / 1024
print(json.dumps([taken, peak]))
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument(
        '--starts',
        type=int,
        default=5,
        help='processes of each kind (default: %(default)s)')
    parser.add_argument('--config', default='configs/pss_mbv2_imagenet.py')
    parser.add_argument('--out', default='benchmarks/results/device.json')
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args.config, Path(folder), args.rounds, args.starts)
    for name, value in found.items():
        print(f'{name}: {value}')
    write_json(found, args.out)


def measure(config: str, folder: Path, rounds: int,
            starts: int) -> Dict[str, Any]:
    """All figures, by name.

    Args:
        config: path of the supernet's.
        folder: an empty one, for the banks.
        rounds: forward passes that are timed in each way.
        starts: processes that are started in each way.
    """
    _, bank = random_bank(config)
    write_bank(bank, folder / 'bank')
    DeviceExporter(bank).export(folder / 'device')
    record = Exporter(bank).export(bank.kept[-1], 'onnx', folder)
    largest = os.path.getsize(folder / record['file'])
    sizes = {
        name: sum(f.stat().st_size for f in (folder / name).iterdir())
        for name in ('bank', 'device')
    }
    found: Dict[str, Any] = dict(
        subnets=len(bank.kept),
        megabytes=dict(
            device_bank=round(sizes['device'] / 1e6, 2),
            bank=round(sizes['bank'] / 1e6, 2),
            largest_plain_file=round(largest / 1e6, 2)))
    found['times_allowed'] = round(
        sizes['device'] / (1.15 * largest + 25e3 * len(bank.kept)), 3)
    for name in PROGRAMS:
        alone = [
            _alone(name, folder, bank.input_shape[-1]) for _ in range(starts)
        ]
        found[name] = dict(
            cold_start_s=round(statistics.median(t for t, _ in alone), 2),
            peak_mb=round(statistics.median(m for _, m in alone)))
    found['switches_ms'] = _switches(folder)
    found['latency_ms'] = _latencies(folder, rounds)
    return found


def _alone(name: str, folder: Path, size: int) -> List[float]:
    """Seconds and MB of a process of its own, from its first import on; its
    image has so many pixels a side."""
    done = subprocess.run(
        [
            sys.executable, '-c',
            MEASURED.format(size=size, program=PROGRAMS[name])
        ],
        cwd=folder,
        env=dict(
            os.environ,
            PYTHONPATH=f'{ROOT}{os.pathsep}{ROOT / "runtime"}',
            PYTHONWARNINGS='ignore',
            OMP_NUM_THREADS='1'),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _switches(folder: Path) -> Dict[str, float]:
    """First switches to every subnet, and switches among those kept open."""
    net = AdaptiveSession(folder / 'device', threads=1)
    cold = [_ms(partial(net.switch, kept)) for kept in net.subnets]
    last = net.subnets[-net.keep:]
    warm = [_ms(partial(net.switch, last[i % len(last)])) for i in range(4000)]
    return dict(
        cold_median=round(statistics.median(cold), 1),
        cold_most=round(max(cold), 1),
        warm_median=round(statistics.median(warm), 4),
        warm_99th=round(float(np.percentile(warm, 99)), 4))


def _latencies(folder: Path, rounds: int) -> Dict[str, Any]:
    """Medians of one image, in turns; and the session's part of the others'."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    plain = onnxruntime.InferenceSession(str(folder / 'largest.onnx'), options)
    session = AdaptiveSession(folder / 'device', threads=1)
    classifier = AdaptiveClassifier(folder / 'bank')
    for net in (session, classifier):
        net.switch('largest')
    inputs = np.random.default_rng(0).standard_normal(
        (1, *classifier.input_shape)).astype(np.float32)
    tensor = torch.from_numpy(inputs)
    ways: Dict[str, Callable[[], Any]] = dict(
        session=lambda: session.logits(inputs),
        plain=lambda: plain.run(None, {'images': inputs}),
        classifier=lambda: classifier.logits(tensor))
    times: Dict[str, List[float]] = {name: [] for name in ways}
    for i in range(rounds + 2):
        for name in list(ways)[::-1 if i % 2 else 1]:
            taken = _ms(ways[name])
            if i > 1:  # the first two warm up
                times[name].append(taken)
    medians = {name: statistics.median(t) for name, t in times.items()}
    return dict({
        name: round(value, 2)
        for name, value in medians.items()
    },
                session_by_plain=round(medians['session'] / medians['plain'],
                                       3))


def _ms(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


if __name__ == '__main__':
    run(main)
