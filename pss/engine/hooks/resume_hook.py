"""Makes a resumed run go on as if it had not been interrupted."""

import random
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from ...registry import HOOKS


@HOOKS.register_module()
class ResumeHook(Hook):
    """Lets a run resume, and repeats what chance did in an uninterrupted one.

    **The log.** MMEngine 0.10 pickles its ``HistoryBuffer``, bound methods
    included, which torch 2.6 and newer refuses to load. In a checkpoint this
    hook replaces the buffers by tensors, and numpy's scalars by Python's; on
    loading, which MMEngine does before it restores the log, it makes buffers
    of them again.

    **Randomness.** Every epoch starts with random states that follow from the
    seed, the epoch and the process. (The order of the images already follows
    from seed and epoch, and the dataloader's workers are seeded by MMEngine;
    workers must not outlive an epoch: ``persistent_workers=False``.)
    """

    # after the hooks that put something into the checkpoint
    priority = 'LOWEST'

    def before_train_epoch(self, runner) -> None:
        """Seeds the epoch."""
        source = np.random.SeedSequence(
            [runner.seed, runner.epoch, runner.rank])
        seed = int(source.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Replaces buffers by tensors."""
        hub = checkpoint['message_hub']
        hub['log_scalars'] = {
            name: {'values': torch.as_tensor(np.asarray(b.data[0], float)),
                   'counts': torch.as_tensor(np.asarray(b.data[1], int)),
                   'max_length': b.max_length}
            for name, b in hub['log_scalars'].items()}
        hub['runtime_info'] = _plain(hub['runtime_info'])
        checkpoint['meta'] = _plain(checkpoint['meta'])

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Makes buffers of the tensors again."""
        scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, saved in scalars.items():
            if isinstance(saved, dict):
                scalars[name] = HistoryBuffer(saved['values'].cpu().numpy(),
                                              saved['counts'].cpu().numpy(),
                                              saved['max_length'])


def _plain(value: Any) -> Any:
    """Numpy's scalars and arrays as Python's numbers and lists."""
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(v) for v in value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return value
