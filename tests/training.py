"""Batches, and short trainings in this process."""

import gc
import uuid

import torch

from .building import TINY_RESNET


def batch(num=4, size=32, classes=10, seed=0):
    """A batch such as a dataloader returns."""
    from mmpretrain.structures import DataSample
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(num, 3, size, size, generator=rng)
    labels = torch.randint(classes, (num, ), generator=rng)
    samples = [DataSample().set_gt_label(int(label)) for label in labels]
    return dict(inputs=images, data_samples=samples)


def shrink(config, data_root, work_dir, batch_size=18):
    """Points a config at other data, for a short training in one process."""
    config.work_dir = str(work_dir)
    config.launcher = 'none'
    loaders = [
        config.train_dataloader, config.val_dataloader, config.test_dataloader,
        config.val_cfg.calibration_dataloader,
        config.test_cfg.calibration_dataloader,
        config.test_cfg.selection_dataloader
    ]
    for loader in loaders:
        loader.num_workers = 0
        loader.batch_size = batch_size
        dataset = loader.dataset
        while 'data_root' not in dataset:
            dataset = dataset.dataset
        dataset.data_root = str(data_root)
    config.optim_wrapper.optimizer.lr = 0.01
    config.param_scheduler = config.param_scheduler[-1]  # without a warm-up
    # tests that need a bank or ranked pools set them
    config.default_hooks.pop('bank')
    config.val_cfg.ranked_pools = 0
    config.val_cfg.calibration_batches = 1
    config.test_cfg.calibration_batches = 2
    config.test_cfg.search = None  # there are too few held-out images for one
    return config


def simplify(config):
    """Gives the demo's config, or another method's, a network that trains in a
    tenth of the time, for tests of what is the same for all networks.

    It has five convolutions, and in the demo's space 750 subnets, of 0.27 to
    0.91 MFLOPs. There are eleven pools, as in the demo. The weights of the
    classifier are large; otherwise all subnets would give all images one label.
    """
    space = dict(config.model.backbone.search_space, divisor=1)
    config.model.backbone = dict(TINY_RESNET, search_space=space)
    config.model.head.update(
        in_channels=16, init_cfg=dict(type='Normal', layer='Linear', std=1.))
    config.model.channels_last = False
    config.default_hooks.pss_sampler.budgets = dict(flops=dict(pools=11))
    return config


def begin_runs_sooner():
    """Saves this process what takes longer than a short training.

    MMEngine formats the config of each run four times; now it writes it as it
    is (the onedl fork does not format). For each dataset it collects garbage;
    now that skips what was imported.
    """
    from mmengine.config import config
    format_code = getattr(config, 'FormatCode', None)
    if format_code:
        config.FormatCode = lambda text, **options: (
            (text, False)
            if 'work_dir' in text else format_code(text, **options))
    gc.collect()
    gc.freeze()


def forget_runs():
    """Makes MMEngine forget earlier runs of this process.

    It keeps loggers, visualizers and messages by the config's name and the
    second that a run began in, so that of two runs in one second the later
    would write into the folders of the earlier.
    """
    from mmengine.utils import ManagerMixin
    kinds = ManagerMixin.__subclasses__()
    while kinds:  # each class has its own
        kind = kinds.pop()
        kind._instance_dict.clear()
        kinds += kind.__subclasses__()


def train(config, **changes):
    """Trains with MMEngine's Runner and returns it."""
    from mmengine.runner import Runner
    config.merge_from_dict(changes)
    # MMEngine keeps logs and messages by this name
    config.experiment_name = uuid.uuid4().hex
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def save_run(path, iteration, **changes):
    """Writes a checkpoint with the entries that finding and resuming a run
    need."""
    content = dict(
        meta=dict(epoch=1, iter=iteration),
        optimizer={},
        message_hub={},
        state_dict={'weight': torch.arange(10_000.)})
    torch.save({**content, **changes}, path)
    return path
