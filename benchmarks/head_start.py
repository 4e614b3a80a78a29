"""What sorting the channels of a trained network is worth to its subnets.

Trains the network of ``make compare`` as it is, on Fashion-MNIST; then tests
subnets of it, with its channels as they are and sorted by importance, at once
and after a short training of the supernet.
"""

import argparse
from pathlib import Path
from typing import Any, Dict, List

import compare
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.runner import Runner
from tabulate import tabulate
from torch.utils.data import DataLoader

from pss.cli import run
from pss.files import write_json
from pss.models import SupernetClassifier, calibrate, sort_channels
from pss.registry import DATASETS
from pss.structures import Subnet
from pss.supernet import blank

SORTED = dict(type='pss.SortChannelsHook')


def training(epochs: int, seed: int, folder: Path, **changes: Any) -> Config:
    """The config of a training without a test."""
    config = compare.config_of(compare.Run('random', epochs, seed, seed))
    config.work_dir = str(folder)
    config.default_hooks.pop('bank')
    for field in ('test_cfg', 'test_dataloader', 'test_evaluator'):
        config[field] = None
    config.merge_from_dict(changes)
    return config


def trained(config: Config) -> SupernetClassifier:
    """The model at the end of a training."""
    config.experiment_name = Path(config.work_dir).name
    runner = Runner.from_cfg(config)
    runner.train()
    model = runner.model
    assert isinstance(model, SupernetClassifier)
    return model


def accuracies(model: SupernetClassifier, subnets: List[Subnet],
               config: Config) -> List[float]:
    """Top-1 of subnets on the test images, in percent, their batch norms
    calibrated on 4 batches of 512 training images."""

    def batches(dataset: Dict[str, Any], num: int) -> Any:
        loader = DataLoader(
            DATASETS.build(dataset), 512, collate_fn=default_collate)
        for _, data in zip(range(num), loader):
            yield model.data_preprocessor(data)

    images = (
        data['inputs'] for data in batches(config.train_dataloader.dataset, 4))
    statistics = calibrate(model, subnets, images)
    right = np.zeros(len(subnets))
    total = 0
    test = dict(
        type='FashionMNIST',
        data_root=compare.DATA_ROOT,
        split='test',
        test_mode=True,
        download=False,
        pipeline=[dict(type='PackInputs')])
    model.eval()
    for data in batches(test, 100):
        labels = torch.stack([s.gt_label for s in data['data_samples']])[:, 0]
        total += len(labels)
        for i, subnet in enumerate(subnets):
            model.switch_to(subnet, statistics[subnet])
            with torch.no_grad():
                found = model(data['inputs']).argmax(1)
            right[i] += (found == labels).sum().item()
    return (100 * right / total).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--epochs', type=int, default=8)
    parser.add_argument('--short', type=int, default=1)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--work-dir', default='work_dirs/head_start')
    parser.add_argument('--out', default='benchmarks/results/head_start.json')
    args = parser.parse_args()
    folder = Path(args.work_dir)
    rows = []
    for seed in args.seeds:
        plain = folder / f'plain_seed{seed}.pth'
        plain.parent.mkdir(parents=True, exist_ok=True)
        sampler = dict(shrink_from=0.9999)  # the largest subnet alone
        config = training(args.epochs, seed, folder / f'plain_seed{seed}',
                          **{'default_hooks.pss_sampler.sampler': sampler})
        model = trained(config)
        torch.save(dict(state_dict=model.state_dict()), plain)
        space = model.search_space
        rng = np.random.default_rng(seed)
        codes = space.random(rng, 8)
        codes[:, 0] = len(space.resolutions) - 1  # widths alone
        subnets = [
            space.largest,
            Subnet(space.largest.resolution, space.smallest.widths),
            *space.decode(codes)
        ]
        results = {'as it is': accuracies(model, subnets, config)}
        model.switch_to(space.largest)
        sort_channels(model, blank(model, space.largest.resolution))
        results['sorted'] = accuracies(model, subnets, config)
        for name, hooks in (('as it is', []), ('sorted', [SORTED])):
            config = training(
                args.short,
                seed,
                folder / f'{name.split()[0]}_seed{seed}',
                load_from=str(plain))
            config.custom_hooks = [*config.get('custom_hooks', []), *hooks]
            after = f'{name}, then trained'
            results[after] = accuracies(trained(config), subnets, config)
        rows += [
            dict(
                seed=seed,
                channels=name,
                largest=found[0],
                narrowest=found[1],
                others=float(np.mean(found[2:])))
            for name, found in results.items()
        ]
        write_json(dict(vars(args), rows=rows), args.out)
    print(tabulate(rows, headers='keys', floatfmt='.2f'))


if __name__ == '__main__':
    run(main)
