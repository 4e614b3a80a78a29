"""Small good inputs of every kind, for targets to damage."""

import dataclasses
import json
import pickle
from collections import namedtuple
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pss.apis import init_model, load_config
from pss.deploy import write_bank
from pss.files import write_json
from pss.profiling.profiler import Profiler
from pss.resources import LatencyTable, Timing, flops_table, reachable_blocks
from tests.conftest import random_bank
from tests.stress import corrupt
from tests.stress.training import write_images

from .cases import TOOLS, call
from .values import json_of, literal

BlockCfg = namedtuple(
    'BlockCfg', 'block_type in_size cin cout cmid '
    'kernel_size stride padding')
BlockCfg.__module__ = '__main__'  # as in the published tables

# variables that base configs only use in other fields, and what tools set
UNREAD = ('work_dir', 'launcher', 'dataset_type', 'data_root', 'held_out_every',
          'train_pipeline', 'test_pipeline', 'train_set', 'held_out_set',
          'test_set', 'calibration_dataloader', 'vis_backends')


class Fixtures:
    """The good inputs.

    Args:
        folder: holds all of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images, self.imagenet = folder / 'images', folder / 'imagenet'
        self.config = folder / 'config.py'
        self.checkpoint = folder / 'work' / 'epoch_1.pth'
        self.bank, self.table = folder / 'bank', folder / 'table.json'
        self.results = folder / 'results.json'
        self.other_results = folder / 'other.json'
        self.subnets = folder / 'subnets.json'
        self.log = folder / 'scalars.json'
        self.published = folder / 'published.pt'
        self.lut = folder / 'published.pkl'
        self.photo = folder / 'photo.png'

    def make(self) -> None:
        """Makes all of them; each takes a few seconds at most."""
        write_images(self.images, train=25, test=4)
        config = small_config(self.images)
        write_config(config, self.config)
        call('train', self.config, '--work-dir', self.checkpoint.parent)
        bank = random_bank(2, classes=tuple('abcdefghij'))[1]
        write_bank(
            dataclasses.replace(
                bank,
                testing=dict(
                    dataloader=config['test_dataloader'],
                    evaluator=config['test_evaluator'])), self.bank)
        model = init_model(load_config(self.config))
        write_table(model, self.table)
        space = model.search_space
        codes = space.random(np.random.default_rng(0), 4)
        rows = [
            dict(subnet.as_dict(), mflops=float(cost)) for subnet, cost in zip(
                space.decode(codes),
                flops_table(model)(codes))
        ]
        write_json(rows, self.subnets)
        self.make_results()
        self.log.write_text('\n'.join(json.dumps(line)
                                      for line in pool_log()) + '\n')
        write_published(self.published)
        write_lut(self.lut)
        Image.fromarray(
            np.arange(24 * 24 * 3, dtype=np.uint8).reshape(24, 24,
                                                           3)).save(self.photo)
        write_imagenet(self.imagenet)

    def make_results(self) -> None:
        """Results of two methods."""
        found = corrupt.Results(self.folder).content
        write_json(found, self.results)
        write_json(dict(found, method='other'), self.other_results)


def small_config(images, **changes):
    """The config of two iterations of a small network, as plain data."""
    config = corrupt.small_config('work', images, **changes)
    config.train_cfg.max_epochs = 1
    config.test_cfg.candidates = 1
    config.experiment_name = 'fuzz'
    for name in UNREAD:
        config.pop(name, None)
    return json.loads(json.dumps(config.to_dict()))


def write_config(config, path) -> None:
    """Writes a config in the format of its suffix."""
    path = Path(path)
    if path.suffix == '.json':
        text = json_of(config)
    elif path.suffix in ('.yaml', '.yml'):
        import yaml
        text = yaml.safe_dump(config)
    else:
        text = ''.join(f'{key} = {literal(value)}\n'
                       for key, value in config.items())
    path.write_text(text, encoding='utf-8', errors='surrogatepass')


def write_table(model, path) -> None:
    """Writes a latency table with times in proportion to the work."""
    profiler = Profiler(model, 'cpu', 'torch', 1, 1, 'float32', 0.0001)
    header = dict(
        version=1,
        unit='microseconds',
        **profiler.conditions,
        scale=1.,
        interpolation=None,
        verification=None)
    LatencyTable(
        json.loads(json.dumps(header)), {
            key: Timing(5. + key.in_size**2 * key.cin * key.cout / 1e4, 1., 3)
            for key in reachable_blocks(model)
        }).write(path)


def pool_log():
    """Lines of a log of pools."""
    return [{
        'step': step,
        'pool_fill/flops_10': step,
        'pool_fill/flops_12': step + 1,
        'pool_best/flops_10': -1. / step,
        'loss': 2.5,
        'pool_churn/flops_12': 0.5,
        'pool_entropy/flops_10': 0.7,
        'agreement/all': 0.5
    } for step in (1, 2, 3)]


def write_published(path) -> None:
    """Writes a checkpoint of MobileNetV2 in the published layout."""
    tool = TOOLS['import_published']
    backbone = tool.BACKBONES['mobilenet_v2']()
    blocks = tool.block_names(backbone)
    wanted = {
        f'backbone.{name}': value
        for name, value in backbone.state_dict().items()
    }
    model = {
        'classifier.0.weight': torch.zeros(1000, 1280),
        'classifier.0.bias': torch.zeros(1000)
    }
    fields = ('weight', 'bias', 'running_mean', 'running_var',
              'num_batches_tracked')
    for block in range(len(blocks) + 2):
        for layer in range(9):
            for field in fields:
                body = '' if block in (0, len(blocks) + 1) else 'body.'
                theirs = f'features.{block}.{body}{layer}.{field}'
                ours = tool.our_name(theirs, 'mobilenet_v2', blocks)
                if ours in wanted:
                    model[f'module.{theirs}'] = wanted[ours]
    key = str(dict(resolution=224, stage_cout_mults=[1.] * 9))
    torch.save(
        dict(
            model=model,
            arch_pools=dict(pools=dict(flops={
                290: {
                    key: -1.5
                },
                280: {}
            }))), path)


def lut():
    """A published latency table."""
    return {
        BlockCfg('Conv2d', 224, 3, 32, None, 3, 2, 1): 50.5,
        BlockCfg('MBV2Block', 112, 32, 16, 32, 3, 1, 1): 70.25,
        BlockCfg('Linear', 1, 1280, 1000, None, None, None, None): 9.5
    }


def write_lut(path) -> None:
    """Writes it as a pickle; the class of its keys is in the main program."""
    import __main__
    __main__.BlockCfg = BlockCfg
    Path(path).write_bytes(pickle.dumps(lut()))


def write_imagenet(root) -> None:
    """Writes a folder in ImageNet's layout."""
    rng = np.random.default_rng(0)
    for split, num in (('train', 13), ('val', 4)):
        lines = []
        for i in range(num):
            label = i % 10
            path = root / split / f'n{label:08d}' / f'{split}_{i}.JPEG'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 30 + i, 3),
                                         np.uint8)).save(path, 'JPEG')
            lines.append(f'{path.parent.name}/{path.name} {label}')
        (root / 'meta').mkdir(exist_ok=True)
        (root / 'meta' / f'{split}.txt').write_text('\n'.join(lines))
