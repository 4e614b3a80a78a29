"""Stays within a latency under competing load, with a bank of subnets.

Test images stream through the bank. Half-way, another process starts to compete
for the processor core, and later it stops. Two classifiers answer every request
in turn: one follows the latency, the other keeps the most accurate subnet. A
figure shows latencies, chosen subnets and running accuracy.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS

from pss.apis import AdaptiveClassifier, load_config
from pss.cli import run
from pss.deploy import KeptSubnet
from pss.errors import InputError

# latency in milliseconds, the subnet and the accuracy of a request
Row = Tuple[float, KeptSubnet, float]
# decides the load's share of the core: the scheduler gives a process of
# niceness n 1.25 ** -n of what it gives one of niceness 0
NICENESS = 3
STARTS, STOPS = 0.5, 0.8  # of the stream


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bank', help="the bank's folder")
    parser.add_argument(
        '--config',
        default='configs/pss_mbv2_fashion_mnist.py',
        help='config whose test images are used')
    parser.add_argument('--out', required=True, help='the figure to draw')
    parser.add_argument(
        '--batch-size', type=int, default=40, help='images in a request')
    parser.add_argument(
        '--passes', type=int, default=2, help='over the test images')
    parser.add_argument(
        '--latency-ms',
        type=float,
        help='the latency to stay within; by default, a quarter above that of '
        'the most accurate subnet without load')
    return parser.parse_args()


def main():
    args = parse_args()
    images, labels = test_images(args.config)
    images, labels = args.passes * images, np.tile(labels, args.passes)
    cores = share_a_core()
    torch.set_num_threads(1)
    net, fixed = (AdaptiveClassifier(args.bank) for _ in range(2))
    fixed.switch()
    num = len(images) // args.batch_size
    first = images[:args.batch_size]
    target = args.latency_ms
    if target is None:
        target = 1.25 * np.median([timed(fixed, first)[0] for _ in range(25)])
    follower = net.follow(latency_ms=target, images=first)
    assert follower is not None  # there is a latency
    print(
        f'{num} requests of {args.batch_size} images, to answer within '
        f'{target:.1f} ms',
        flush=True)

    rows: Dict[AdaptiveClassifier, List[Row]] = {net: [], fixed: []}
    load: List[subprocess.Popen] = []
    try:
        for i in range(num):
            if i == int(STARTS * num):
                load = start_load(cores)
            if i == int(STOPS * num):
                stop(load)
            part = slice(i * args.batch_size, (i + 1) * args.batch_size)
            for classifier, found in rows.items():
                used = classifier.active
                latency, predicted = timed(classifier, images[part])
                found.append(
                    (latency, used, np.mean(predicted == labels[part])))
    finally:
        stop(load)
    draw(rows, net, target, num, args.out)
    for name, classifier in (('with', net), ('without', fixed)):
        latencies = np.array([row[0] for row in rows[classifier]])
        loaded = latencies[int(STARTS * num):int(STOPS * num)]
        accuracy = 100 * np.mean([row[2] for row in rows[classifier]])
        print(f'{name} following: {100 * np.mean(latencies <= target):.1f} % '
              f'of the requests within {target:.1f} ms '
              f'({100 * np.mean(loaded <= target):.1f} % under load), '
              f'accuracy {accuracy:.2f} %')
    print(f'{follower.moves} moves between subnets; {args.out}')


def test_images(path):
    """The config's test images, as a list of arrays, and their labels."""
    config = load_config(path)
    cfg = dict(config.test_dataloader.dataset, pipeline=[])
    if not Path(cfg.get('data_root', '.')).is_dir():
        raise InputError(f'{cfg["data_root"]}: no such folder; see "Data" in '
                         'docs/imagenet.md')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(cfg)
    rows = [dataset.get_data_info(i) for i in range(len(dataset))]
    return ([row['img'] if 'img' in row else row['img_path']
             for row in rows], np.array([row['gt_label'] for row in rows]))


def share_a_core():
    """Pins this process to one core, if the system can, and returns the cores
    that the load should run on; ``None`` if it cannot."""
    if not hasattr(os, 'sched_setaffinity'):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return [core]


def start_load(cores):
    """Starts competing processes: one on this core, or one on every core."""
    pin = f'os.sched_setaffinity(0, {set(cores)}); ' if cores else ''
    code = f'import os; {pin}os.nice({NICENESS})\nwhile True: pass'
    return [
        subprocess.Popen([sys.executable, '-c', code])
        for _ in cores or range(os.cpu_count() or 1)
    ]


def stop(load):
    """Stops the load."""
    for process in load:
        process.kill()
        process.wait()


def timed(classifier, images):
    """The latency of a request in milliseconds, and its labels."""
    start = time.perf_counter()
    predicted = classifier.predict(images)
    latency = 1e3 * (time.perf_counter() - start)
    return latency, np.array([p['pred_label'] for p in predicted])


def draw(rows, net, target, num, out):
    """Plots latency, subnet and running accuracy over the requests."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        3, figsize=(9, 8), sharex=True, layout='constrained')
    for name, colour, found in zip(('following', 'most accurate subnet'),
                                   ('C0', 'C7'), rows.values()):
        axes[0].plot([row[0] for row in found], colour, lw=1, label=name)
        axes[1].step(
            range(num), [row[1].costs['flops'] for row in found],
            colour,
            where='post')
        running = np.convolve([100 * row[2] for row in found],
                              np.ones(25) / 25, 'valid')
        axes[2].plot(range(24, 24 + len(running)), running, colour)
    axes[0].axhline(target, color='C3', ls='--', label='target')
    high = np.percentile([row[0] for found in rows.values() for row in found],
                         99.5)
    axes[0].set_ylim(0, 1.2 * max(high, target))
    for axis, label in zip(
            axes,
        ('latency (ms)', 'subnet (MFLOPs)', 'accuracy, last 25 requests (%)')):
        axis.axvspan(
            STARTS * num,
            STOPS * num,
            color='C3',
            alpha=0.1,
            label='competing load')
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend(loc='upper left')
    axes[2].set_xlabel('request')
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(out).with_name(f'{Path(out).stem}.tmp{Path(out).suffix}')
    figure.savefig(temporary, dpi=120)
    plt.close(figure)
    temporary.replace(out)


if __name__ == '__main__':
    run(main)
