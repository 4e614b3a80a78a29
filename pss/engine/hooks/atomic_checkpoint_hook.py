"""Writes checkpoints atomically."""

import re
from pathlib import Path
from typing import Any, Dict, Optional

import torch
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ...checks import check_integer
from ...errors import DivergedError, InputError
from ...files import FilePath, whole_file
from ...registry import HOOKS

# written when SIGTERM stops training, until the next regular checkpoint
INTERRUPTED = 'interrupted.pth'
_TEMPORARY = re.compile(r'\.pth\.[0-9a-f]+\.tmp$')  # whole_file's names


class AtomicBackend(LocalBackend):
    """MMEngine's backend for local files, with atomic writes."""

    NAME = 'pss_atomic'

    def put(self, obj: bytes, filepath: FilePath) -> None:
        """Writes bytes to a file."""
        with whole_file(filepath) as file:
            file.write_bytes(obj)


register_backend(AtomicBackend.NAME, AtomicBackend)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` for runs that may end at any moment.

    - A checkpoint is written to a temporary file, which is then renamed, so
      that a file of the final name is always complete.
    - Outdated checkpoints are deleted after the new one is written, not
      before.
    - Weights that are not finite are not written: the run stops, and the last
      good checkpoint stays.
    - :meth:`save_interrupted` writes a checkpoint at any iteration.

    Args:
        args, kwargs: of ``CheckpointHook``. If ``backend_args`` names
            storage other than local files, its own way of writing is used.
    """

    backend_args: Optional[Dict[str, Any]]

    def before_train(self, runner: Runner) -> None:
        """Chooses how files are written; deletes partial files of a killed
        run."""
        if self.backend_args is None and self.file_client_args is None and \
                '://' not in str(self.out_dir or runner.work_dir):
            self.backend_args = dict(backend=AtomicBackend.NAME)
        if self.interval != -1:  # in MMEngine, never
            check_integer('default_hooks.checkpoint.interval', self.interval, 1)
        super().before_train(runner)
        if is_main_process() and Path(self.out_dir).is_dir():
            for path in Path(self.out_dir).glob('*.pth.*.tmp'):
                if _TEMPORARY.search(path.name) and path.is_file():
                    path.unlink(missing_ok=True)

    def save_interrupted(self, runner: Runner, iterations: int) -> str:
        """Writes a checkpoint between the regular ones.

        Args:
            runner: the runner.
            iterations: number of iterations trained.

        Returns:
            The file's path.
        """
        self._save(runner, INTERRUPTED,
                   dict(epoch=runner.epoch, iter=iterations))
        return self.last_ckpt

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: Dict[str, Any]) -> None:
        """Writes a regular checkpoint, then deletes outdated ones."""
        outdated = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            kept = [*self.keep_ckpt_ids, step]
            outdated = kept[:-self.max_keep_ckpts]
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids',
                                           list(self.keep_ckpt_ids))
        self._save(runner, self.filename_tmpl.format(step), meta)
        if is_main_process():
            names = [self.filename_tmpl.format(old) for old in outdated]
            for name in (*names, INTERRUPTED):
                path = self.file_backend.join_path(self.out_dir, name)
                if self.file_backend.isfile(path):
                    self.file_backend.remove(path)

    def _save(self, runner: Runner, name: str, meta: Dict[str, Any]) -> None:
        """Writes one file, and its path into ``last_checkpoint``."""
        _check_finite(runner)
        if not runner.optim_wrapper.should_update():
            runner.logger.warning(
                f'{name}: the gradients accumulated so far are not in it, so '
                'resuming from it is not exact; choose an interval that is a '
                'multiple of optim_wrapper.accumulative_counts')
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            file_client_args=self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=False,
            backend_args=self.backend_args,
            **self.args)
        if is_main_process():
            with whole_file(Path(runner.work_dir, 'last_checkpoint')) as file:
                file.write_text(str(self.last_ckpt))


def _check_finite(runner: Runner) -> None:
    """Stops the run if its weights are not finite.

    Raises:
        DivergedError: it names the iteration and a weight.
    """
    values = {
        name: value
        for name, value in runner.model.state_dict().items()
        if value.is_floating_point()
    }
    if not bool(
            torch.stack([v.isfinite().all() for v in values.values()]).all()):
        name = next(n for n, v in values.items() if not v.isfinite().all())
        raise DivergedError(
            f'iteration {runner.iter + 1}: {name} is not finite; no checkpoint '
            'is written, and the last one does not contain it')


def find_checkpoint_hook(runner: Runner) -> 'AtomicCheckpointHook':
    """The runner's hook.

    Raises:
        InputError: if it has none.
    """
    for hook in runner.hooks:
        if isinstance(hook, AtomicCheckpointHook):
            return hook
    raise InputError("default_hooks.checkpoint: type 'pss.AtomicCheckpointHook'"
                     ' is missing; it writes a checkpoint when SIGTERM '
                     'stops training')
