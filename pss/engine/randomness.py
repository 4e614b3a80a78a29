"""Seeds derived from their purpose (run, epoch, image), not from past draws."""

import random
from contextlib import contextmanager
from typing import Iterator

import numpy as np
import torch
from mmengine.dist import broadcast
from mmengine.runner import Runner


def mixed(*entropy: int) -> int:
    """Mixes several numbers into a seed of 32 bits.

    Args:
        *entropy: such as a seed, an iteration and a rank, each at least 0.
    """
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and torch, GPUs included."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def seed_images(seed: int) -> None:
    """Seeds image augmentation: as above without GPUs, which take time."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the random numbers inside; restores all states afterwards."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        seed_everything(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def shared_seed(runner: Runner) -> int:
    """The first process's seed; with ``diff_rank_seed`` each has its own."""
    seed = torch.tensor(runner.seed)
    broadcast(seed)
    return int(seed)
