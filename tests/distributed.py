"""Running a function in several processes, and a supernet in float64 for
comparing what they compute."""

import os
import time
from datetime import timedelta
from typing import Any, Callable, List

import torch
from torch import multiprocessing

from pss.models import SupernetClassifier
from pss.registry import MODELS

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
    torch.distributed.destroy_process_group()


def run_ranks(world: int,
              folder,
              function: Callable,
              *arguments: Any,
              timeout: float = 240.) -> List[Any]:
    """Calls ``function(rank, *arguments)`` in processes that talk by gloo.

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


@MODELS.register_module()
class DoubleSupernet(SupernetClassifier):
    """A supernet in float64, in which the order of sums hardly matters."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.double()

    def extract_feat(self, inputs, stage='neck'):
        return super().extract_feat(
            inputs.to(next(self.parameters()).dtype), stage)
