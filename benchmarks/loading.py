"""How many ImageNet images a core loads and augments in a second.

Three pipelines take turns in one process, on files of ImageNet's usual size:
the configs', mmpretrain's own transforms (imagenet_bs128_pss_host.py), and
torchvision's. Time is this process's CPU time. Lighting, changes of colours and
normalisation are done per image by torchvision's, in bytes by mmpretrain's, and
for whole batches on the device by ours, where their time does not count here.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from PIL import Image
from tabulate import tabulate

from pss.checks import check_integer
from pss.cli import run
from pss.files import write_json

BASES = Path('configs/_base_/datasets')
DATA = dict(
    ours='imagenet_bs128_pss.py', mmpretrain='imagenet_bs128_pss_host.py')

Pipeline = Callable[[str], Any]


def write_image(path: Path, seed: int) -> None:
    """Writes a JPEG file of 500 x 375 pixels, with as much detail as gives it
    ImageNet's usual size, 110 kB."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (125, 167, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC).save(
        path, quality=90)


def pipeline_of(config: Config) -> Pipeline:
    """The training pipeline of a config."""
    steps = Compose([dict(step) for step in config.train_pipeline])
    return lambda path: steps(dict(img_path=path, gt_label=0))


def torchvisions(config: Config) -> Pipeline:
    """The same with torchvision's transforms, on Pillow's images."""
    from torchvision import transforms
    lighting = next(step for step in config.train_pipeline
                    if step['type'] == 'pss.DeferredLighting')
    effects = torch.tensor(lighting['eigvec']) * torch.tensor(
        lighting['eigval']) / 255

    def light(image: torch.Tensor) -> torch.Tensor:
        alpha = torch.randn(3) * lighting['alphastd']
        return image + (effects * alpha).sum(1)[:, None, None]

    steps = transforms.Compose([
        transforms.RandomResizedCrop(224, scale=(0.25, 1.)),
        transforms.RandomHorizontalFlip(),
        transforms.ColorJitter(0.4, 0.4, 0.4),
        transforms.ToTensor(), light,
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    ])
    return lambda path: steps(Image.open(path).convert('RGB'))


def pipelines() -> Dict[str, Pipeline]:
    """All that are compared, by name."""
    init_default_scope('mmpretrain')
    configs = {
        name: Config.fromfile(BASES / file)
        for name, file in DATA.items()
    }
    found = {name: pipeline_of(config) for name, config in configs.items()}
    return dict(found, torchvision=torchvisions(configs['ours']))


def images_per_second(pipeline: Pipeline, paths: List[str]) -> float:
    """How many images a core loads and augments in a second."""
    start = time.process_time()
    for path in paths:
        pipeline(path)
    return len(paths) / (time.process_time() - start)


def measure(images: int, rounds: int) -> Dict[str, Any]:
    """Measures all pipelines in turns: ``rates`` of each round, and the files'
    mean size ``kb``."""
    cv2.setNumThreads(1)  # as in the workers of a data loader
    torch.set_num_threads(1)
    compared = pipelines()
    rates: Dict[str, List[float]] = {name: [] for name in compared}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f'{i}.JPEG') for i in range(min(images, 20))]
        for i, path in enumerate(paths):
            write_image(path, i)
        size = np.mean([os.path.getsize(path) for path in paths]) / 1e3
        names = [str(paths[i % len(paths)]) for i in range(images)]
        for turn in range(1 + rounds):
            for name, pipeline in compared.items():
                rate = images_per_second(pipeline, names)
                if turn:  # the first warms up
                    rates[name].append(rate)
    return dict(rates=rates, kb=float(size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, default=200, help='in a turn')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--out', default='benchmarks/results/loading.json')
    args = parser.parse_args()
    check_integer('--images', args.images, 1)
    check_integer('--rounds', args.rounds, 1)
    found = measure(args.images, args.rounds)
    medians = {
        name: float(np.median(rates))
        for name, rates in found['rates'].items()
    }
    print(
        tabulate([[
            name, f'{rate:.0f}', f'{rate / medians["mmpretrain"]:.2f}',
            f'{min(found["rates"][name]):.0f} to '
            f'{max(found["rates"][name]):.0f}'
        ] for name, rate in medians.items()],
                 headers=[
                     'pipeline', 'images a second and core',
                     'relative to mmpretrain', 'range'
                 ]))
    print(f'JPEG files of 500 x 375 pixels, {found["kb"]:.0f} kB')
    write_json(dict(found, medians=medians), args.out)


if __name__ == '__main__':
    run(main)
