"""Makes a resumed run continue as if it had not been interrupted."""

from typing import Any, Dict, Optional

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...errors import InputError
from ...registry import HOOKS
from ..checkpoints.cleaning import clean
from ..checkpoints.entries import PROGRESS_KEY
from ..checkpoints.saved_state import check_saved_state
from ..randomness import mixed, seed_everything


@HOOKS.register_module()
class ResumeHook(Hook):
    """Lets a run resume, with the random numbers of an uninterrupted one.

    **The log.** MMEngine 0.10 pickles its ``HistoryBuffer``, bound methods
    included, which torch 2.6 and newer refuses to load. In a checkpoint this
    hook replaces the buffers by tensors, and NumPy's scalars by Python's. When
    a checkpoint is loaded, it turns them back into buffers before MMEngine
    restores the log.

    **Randomness.** Every iteration starts with random states derived from the
    seed, the iteration and the process. The images of an epoch and their order
    are derived from seed and epoch, see :class:`.SupernetTrainLoop`.

    **Place in the epoch.** The checkpoint records how many of the epoch's
    iterations are done, and how many it has.
    """

    # after the hooks that add entries to the checkpoint
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._progress: Optional[Dict[str, int]] = None

    def before_train(self, runner: Runner) -> None:
        """Restores the place in the epoch, if the run is resumed.

        Raises:
            InputError: if the epoch has another length now, or the loop cannot
                start inside an epoch.
        """
        if runner.iter == 0:
            return
        loop, length = runner.train_loop, len(runner.train_dataloader)
        progress = self._progress or dict(done=0, length=length)
        if progress['done'] and progress['length'] != length:
            raise InputError(
                f'resume: the checkpoint was written after {progress["done"]} '
                f'of the {progress["length"]} iterations of an epoch, which '
                f'has {length} now; expected the same images, batch size and '
                'number of processes, or a checkpoint from the end of an '
                'epoch')
        if hasattr(loop, 'done'):
            loop.done = progress['done']
        elif progress['done']:
            raise InputError(
                f'train_cfg.type={type(loop).__name__!r} cannot resume inside '
                "an epoch; expected 'pss.SupernetTrainLoop', or a checkpoint "
                'from the end of an epoch')

    def before_train_epoch(self, runner: Runner) -> None:
        """Seeds the epoch, for the loading of its data."""
        seed_everything(mixed(runner.seed, runner.epoch, runner.rank))

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Any = None) -> None:
        """Seeds the iteration."""
        seed_everything(mixed(runner.seed, runner.iter, runner.rank))

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: Dict[str, Any]) -> None:
        """Adds the place in the epoch; replaces buffers by tensors."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            checkpoint[PROGRESS_KEY] = _progress(runner, checkpoint['meta'])
        hub = checkpoint['message_hub']
        hub['log_scalars'] = {
            name: {
                'values': torch.as_tensor(np.asarray(b.data[0], float)),
                'counts': torch.as_tensor(np.asarray(b.data[1], int)),
                'max_length': b.max_length
            }
            for name, b in hub['log_scalars'].items()
        }
        hub['runtime_info'] = _plain(hub['runtime_info'])
        checkpoint['meta'] = _plain(checkpoint['meta'])

    def after_load_checkpoint(self, runner: Runner,
                              checkpoint: Dict[str, Any]) -> None:
        """Checks the state of a run that is resumed, and turns its tensors back
        into buffers.

        Raises:
            InputError: if the state is damaged or of another run.
        """
        clean(checkpoint, 'the checkpoint')
        if not runner.cfg.get('resume'):
            return
        check_saved_state(checkpoint, runner)
        self._progress = checkpoint.get(PROGRESS_KEY)
        scalars = checkpoint['message_hub']['log_scalars']
        for name, saved in scalars.items():
            scalars[name] = HistoryBuffer(saved['values'].cpu().numpy(),
                                          saved['counts'].cpu().numpy(),
                                          saved['max_length'])


def _progress(runner: Runner, meta: Dict[str, Any]) -> Dict[str, int]:
    """The number of iterations done in the epoch, and its length."""
    length = len(runner.train_dataloader)
    if meta['epoch'] > runner.epoch:  # written at the end of the epoch
        done = 0
    else:
        done = getattr(runner.train_loop, 'done', meta['iter'] % length)
    return dict(done=done, length=length)


def _plain(value: Any) -> Any:
    """Converts NumPy's scalars and arrays into Python's numbers and lists."""
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(v) for v in value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return value
