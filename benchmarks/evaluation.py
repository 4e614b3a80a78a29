"""Evaluating many subnets in one pass over the images, or in one pass each.

On JPEG files of 500 x 375 pixels, with the ImageNet pipeline of the configs.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Sequence

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image

from pss.apis import init_model, load_config
from pss.models import SupernetClassifier, calibrate
from pss.structures import Subnet


def write_images(folder: Path, num: int) -> None:
    """Writes JPEG files of noise over smooth shapes, and a list of them."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(num):
        small = Image.fromarray(
            rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        pixels = np.asarray(small.resize((500, 375), Image.Resampling.BICUBIC))
        noise = rng.integers(0, 24, pixels.shape, dtype=np.uint8)
        Image.fromarray(pixels // 2 + noise).save(folder / f'{i}.jpg')
        lines.append(f'{i}.jpg {i % 10}')
    (folder / 'list.txt').write_text('\n'.join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--config', default='configs/pss_mbv2_imagenet.py')
    parser.add_argument('--images', type=int, default=128)
    parser.add_argument('--subnets', type=int, default=8)
    args = parser.parse_args()
    config = load_config(args.config)
    model = init_model(config)
    assert isinstance(model, SupernetClassifier)
    space = model.search_space
    subnets = space.decode(space.random(np.random.default_rng(0), args.subnets))
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), args.images)
        loader = dict(config.test_dataloader, num_workers=0, batch_size=32)
        loader['dataset'] = dict(
            type='CustomDataset',
            data_root=folder,
            ann_file='list.txt',
            pipeline=config.test_pipeline)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            loader = Runner.build_dataloader(loader, seed=0)
        assert isinstance(loader.dataset, BaseDataset)

        def seconds_of(evaluated: Sequence[Subnet]) -> float:
            start = time.perf_counter()
            for batch in loader:
                data = model.data_preprocessor(batch, False)
                for subnet in evaluated:
                    model.switch_to(subnet, statistics[subnet])
                    with torch.no_grad():
                        model(**data, mode='predict')
            return time.perf_counter() - start

        first = model.data_preprocessor(next(iter(loader)), False)['inputs']
        statistics = calibrate(model, subnets, [first])
        model.eval()
        seconds_of(subnets[:1])  # warms up
        together = seconds_of(subnets)
        apart = sum(seconds_of([subnet]) for subnet in subnets)
    print(f'{args.config}: {len(subnets)} subnets on {args.images} images: '
          f'together {together:.2f} s, one pass each {apart:.2f} s, ratio '
          f'{together / apart:.3f}')


if __name__ == '__main__':
    main()
