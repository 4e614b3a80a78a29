"""Running a function in several processes, and a supernet in float64 for
comparing what they compute."""

import os
import socket
import time
from datetime import timedelta
from typing import Any, Callable, List

import torch
from torch import multiprocessing

from pss.apis import load_config
from pss.cli.processes import leave_processes
from pss.models import SupernetClassifier
from pss.registry import MODELS

from .paths import ROOT
from .training import shrink, simplify

# seconds after which a collective fails, so that nothing waits for ever
COLLECTIVE = 60


def _run(rank: int, world: int, folder: str, function: Callable,
         arguments: tuple) -> None:
    torch.set_num_threads(1)
    # MMEngine reads these
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        GLOO_SOCKET_IFNAME='lo')
    torch.distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/store',
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=COLLECTIVE))
    # otherwise one side of gloo may still be connecting when the other exits
    torch.distributed.barrier()
    result = function(rank, *arguments)
    torch.save(result, f'{folder}/{rank}.pt')
    leave_processes()


def run_ranks(world: int,
              folder,
              function: Callable,
              *arguments: Any,
              timeout: float = 240.) -> List[Any]:
    """Calls ``function(rank, *arguments)`` in processes that talk over gloo.

    They are forked, so they see what this process has in memory.

    Args:
        world: the number of processes.
        folder: an unused folder for the files that they exchange.
        function: returns tensors, numbers and containers of these.
        *arguments: the function's other arguments.
        timeout: seconds for all of it.

    Returns:
        What the function returned, by rank.

    Raises:
        TimeoutError: if it takes longer.
    """
    end = time.monotonic() + timeout
    context = multiprocessing.start_processes(
        _run, (world, str(folder), function, arguments),
        world,
        join=False,
        start_method='fork')
    try:
        while not context.join(timeout=1.):
            if time.monotonic() > end:
                raise TimeoutError(f'{world} processes took over {timeout} s')
    finally:
        for process in context.processes:
            if process.is_alive():
                process.kill()
            process.join()
    return [
        torch.load(f'{folder}/{rank}.pt', weights_only=True)
        for rank in range(world)
    ]


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def config_of(data_root,
              work_dir,
              processes,
              global_batch=8,
              epochs=1,
              evaluating=False,
              **changes):
    """The demo's config with a network of five convolutions, and images that
    are the same whichever process loads them: 14 iterations an epoch."""
    config = load_config(ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py')
    shrink(config, data_root, work_dir, global_batch // processes)
    simplify(config)
    config.model.backbone.search_space = dict(resolutions=[6, 8, 10], divisor=2)
    config.train_dataloader.dataset.every = 15  # of 120 images: 112 are left
    config.train_dataloader.dataset.dataset.pipeline = [dict(type='PackInputs')]
    hooks = config.default_hooks
    hooks.pss_sampler.budgets = dict(flops=dict(pools=3))
    hooks.pss_sampler.sampler.pool_size = 4
    hooks.logger.interval = 1000
    hooks.checkpoint.interval = 1000
    config.train_cfg.max_epochs = epochs
    config.train_cfg.val_interval = 1000
    if not evaluating:
        config.val_cfg = config.val_dataloader = config.val_evaluator = None
        config.test_cfg = config.test_dataloader = config.test_evaluator = None
    config.launcher = 'none' if processes == 1 else 'pytorch'
    config.merge_from_dict(changes)
    return config


def on_ranks(function, processes, folder, data_root, work_dir=None, **changes):
    """What a function of rank and config returns in each process, by rank."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(data_root, work_dir or folder / 'work', processes,
                       **changes)
    if processes == 1:
        return [function(0, config)]
    return run_ranks(processes, folder, function, config)


@MODELS.register_module()
class DoubleSupernet(SupernetClassifier):
    """A supernet in float64, in which the order of sums hardly matters."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.double()

    def extract_feat(self, inputs, stage='neck'):
        return super().extract_feat(
            inputs.to(next(self.parameters()).dtype), stage)
