"""A small supernet that was trained and searched: 300 held-out images of 600,
and 375 subnets of 0.050 to 0.914 MFLOPs."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

from pss.structures import Subnet

from .distributed import config_of
from .images import write_images
from .training import train

HELD_OUT = 300
EPOCHS = 4  # more, and all subnets get everything right


class Searchable(NamedTuple):
    """What training with a search at its end left. Tests must not change it.

    Attributes:
        data: folder in Fashion-MNIST's format.
        work: folder of the run.
        checkpoint: file, with pools for three levels of FLOPs.
        loop: the test loop, after its run.
    """
    data: Path
    work: Path
    checkpoint: Path
    loop: Any


def search_config(data, work_dir, processes=1, **changes):
    """The config of the supernet and of a small search.

    Args:
        data: the folder of images.
        work_dir: of the run.
        processes: in how many it will run.
        **changes: of the config.
    """
    config = config_of(data, work_dir, processes, 20, evaluating=True)
    for loader in (config.train_dataloader, config.val_dataloader,
                   config.test_cfg.calibration_dataloader,
                   config.test_cfg.selection_dataloader):
        loader.dataset.every = 2
    for loader in (config.test_dataloader,
                   config.test_cfg.selection_dataloader):
        loader.batch_size = 100
    config.model.backbone.search_space = dict(
        resolutions=[10, 18, 28], multipliers=(0.5, 1.0), divisor=2)
    config.optim_wrapper.optimizer.lr = 0.05
    config.train_cfg.max_epochs = EPOCHS
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    config.test_cfg.search = dict(candidates=8, finalists=2)
    config.log_level = 'ERROR'
    config.merge_from_dict(changes)
    return config


def make_searchable(folder):
    """Writes the images; trains, searches and writes a bank."""
    data, work = folder / 'data', folder / 'work'
    write_images(data, train=2 * HELD_OUT, test=60)
    config = search_config(data, work,
                           **{'default_hooks.bank': dict(type='pss.BankHook')})
    runner = train(config)
    return Searchable(data, work, work / f'epoch_{EPOCHS}.pth',
                      runner.test_loop)


def searched(searchable, work_dir, processes=1, **changes):
    """Runs the test loop on the checkpoint, in this process; returns the loop.
    """
    config = search_config(searchable.data, work_dir, processes, **changes)
    config = Config(config.to_dict())
    config.load_from = str(searchable.checkpoint)
    runner = Runner.from_cfg(config)
    runner.test()
    return runner.test_loop


def journal_rows(folder):
    """The measurements in a search's journal."""
    lines = Path(folder, 'search.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines[1:]]


def final_accuracy(folder):
    """The accuracy of each subnet that a journal has final measurements of, in
    percent."""
    hits = {}
    for row in journal_rows(folder):
        if row['final']:
            bits = np.unpackbits(
                np.frombuffer(bytes.fromhex(row['hits']), np.uint8))
            subnet = Subnet.from_dict(row['subnet'])
            hits.setdefault(subnet, []).extend(bits[:row['images']])
    return {subnet: 100 * np.mean(found) for subnet, found in hits.items()}
