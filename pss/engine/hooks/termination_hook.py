"""Ends a run on SIGTERM, with a checkpoint."""

import os
import signal
import threading
from typing import Any, Optional

import torch
from mmengine.dist import all_reduce, barrier, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS
from .atomic_checkpoint_hook import find_checkpoint_hook


class Terminated(SystemExit):
    """Training was stopped by SIGTERM. The exit status is 143, the shell's
    status for a process that SIGTERM ended."""

    def __init__(self, message: str) -> None:
        super().__init__(128 + signal.SIGTERM)
        self.message = message


@HOOKS.register_module()
class TerminationHook(Hook):
    """On SIGTERM: finishes the iteration, writes a checkpoint, exits.

    Slurm, Kubernetes and torchrun send SIGTERM some seconds before they kill.
    All processes of a run stop after the same iteration, whichever of them got
    the signal. During validation or testing the run stops after the current
    batch. While gradients are being accumulated, it continues to the next
    optimizer step. A second SIGTERM ends the process at once.

    Raises:
        Terminated: when the run stops.
    """

    # after CheckpointHook, which may be about to write one anyway
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._received = False
        self._former: Any = None

    def before_train(self, runner: Runner) -> None:
        """Handles the signal from now on; only the main thread can."""
        if threading.current_thread() is threading.main_thread():
            self._former = signal.signal(signal.SIGTERM, self._receive)

    def _receive(self, number: int, frame: Any) -> None:
        """Records the first signal; leaves the second to the former handler."""
        if self._received:
            signal.signal(number, self._former)
            os.kill(os.getpid(), number)
        self._received = True

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Stops the run if any process received the signal."""
        if self._any_received() and runner.optim_wrapper.should_update():
            # the loop counts the iteration after the hooks
            message = self._save(runner, runner.iter + 1)
            barrier()  # torchrun ends all processes once one has ended
            self._stop(message)

    def after_val_iter(self,
                       runner: Runner,
                       batch_idx: int,
                       data_batch: Any = None,
                       outputs: Any = None) -> None:
        """Stops this process if it received the signal. Others may have fewer
        batches, so they are not asked."""
        if self._received and runner.optim_wrapper.should_update():
            self._stop(self._save(runner, runner.iter))

    def after_test_iter(self,
                        runner: Runner,
                        batch_idx: int,
                        data_batch: Any = None,
                        outputs: Any = None) -> None:
        """Stops the test; the last checkpoint is of the trained network."""
        if self._received:
            self._stop('stopped in the test after training')

    def after_run(self, runner: Optional[Runner]) -> None:
        """Restores the former handler of the signal."""
        if self._former is not None:
            signal.signal(signal.SIGTERM, self._former)
            self._former = None

    def _any_received(self) -> bool:
        if get_world_size() == 1:
            return self._received
        received = torch.tensor(int(self._received))
        all_reduce(received, 'max')
        return bool(received)

    def _save(self, runner: Runner, iterations: int) -> str:
        path = find_checkpoint_hook(runner).save_interrupted(runner, iterations)
        return f'stopped after {iterations} iterations; checkpoint {path}'

    def _stop(self, message: str) -> None:
        self.after_run(None)
        raise Terminated(f'SIGTERM: {message}; --resume continues from there')
