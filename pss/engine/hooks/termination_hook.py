"""Ends a run that is told to stop, with a checkpoint."""

import os
import signal
import threading
from typing import Any, Optional

import torch
from mmengine.dist import all_reduce, barrier, get_world_size
from mmengine.hooks import Hook

from ...registry import HOOKS
from .atomic_checkpoint_hook import find_checkpoint_hook


class Terminated(SystemExit):
    """Training was told to stop and did; its status is 143, as the shell's for
    a process that SIGTERM ended."""

    def __init__(self, message: str) -> None:
        super().__init__(128 + signal.SIGTERM)
        self.message = message


@HOOKS.register_module()
class TerminationHook(Hook):
    """On SIGTERM: finishes the iteration, writes a checkpoint, exits.

    Slurm, Kubernetes and torchrun send SIGTERM some seconds before they kill.
    All processes of a run stop after the same iteration, whichever of them got
    the signal. In a validation or a test the run stops after the batch. While
    gradients are being accumulated, it goes on until their optimizer step. A
    second SIGTERM does not wait.

    Raises:
        Terminated: from the hook, where the run stops.
    """

    # after CheckpointHook, which may be about to write one anyway
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._received = False
        self._former: Any = None

    def before_train(self, runner) -> None:
        """Listens to the signal; threads other than the main one can't."""
        if threading.current_thread() is threading.main_thread():
            self._former = signal.signal(signal.SIGTERM, self._receive)

    def _receive(self, number: int, frame: Any) -> None:
        """Notes the first signal; a second one ends the process as before."""
        if self._received:
            signal.signal(number, self._former)
            os.kill(os.getpid(), number)
        self._received = True

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Stops here, if any process was told to."""
        if self._any_received() and runner.optim_wrapper.should_update():
            # the loop counts the iteration after its hooks
            message = self._save(runner, runner.iter + 1)
            barrier()  # torchrun ends all processes when the first has ended
            self._stop(message)

    def after_val_iter(self,
                       runner,
                       batch_idx: int,
                       data_batch: Any = None,
                       outputs: Any = None) -> None:
        """Stops here, if this process was told to: others may have fewer
        batches, and are not asked."""
        if self._received and runner.optim_wrapper.should_update():
            self._stop(self._save(runner, runner.iter))

    def after_test_iter(self,
                        runner,
                        batch_idx: int,
                        data_batch: Any = None,
                        outputs: Any = None) -> None:
        """Stops here; the last checkpoint is the trained network's."""
        if self._received:
            self._stop('stopped in the test after training')

    def after_run(self, runner) -> None:
        """Leaves the signal to whom it was before."""
        if self._former is not None:
            signal.signal(signal.SIGTERM, self._former)
            self._former = None

    def _any_received(self) -> bool:
        if get_world_size() == 1:
            return self._received
        received = torch.tensor(int(self._received))
        all_reduce(received, 'max')
        return bool(received)

    def _save(self, runner, iterations: int) -> str:
        path = find_checkpoint_hook(runner).save_interrupted(runner, iterations)
        return f'stopped after {iterations} iterations; checkpoint {path}'

    def _stop(self, message: str) -> None:
        self.after_run(None)
        raise Terminated(f'SIGTERM: {message}; --resume goes on from there')
