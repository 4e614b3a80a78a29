"""Keeps a run from starting with weights that do not fit its model."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from ...files import open_regular
from ...registry import HOOKS
from ..checkpoints.archive import check_archive
from ..checkpoints.cleaning import clean
from ..checkpoints.saved_state import check_resumable
from ..checkpoints.weights import check_same, check_start


@HOOKS.register_module()
class CheckedLoadHook(Hook):
    """Checks a checkpoint that MMEngine has loaded, before any of it is used.

    MMEngine loads the weights that fit and leaves the others, which may be all
    of them, as they were initialised. With this hook, a run that resumes or
    tests needs every weight of its model. Training that starts from
    ``load_from`` needs the whole backbone; neck and head may differ, which is
    logged as one warning.

    A file's checksums, which torch does not verify, are verified before it is
    loaded. The entry ``meta.config``, which MMEngine would run as a program, is
    removed from every checkpoint.
    """

    # before the hooks that read entries of the checkpoint
    priority = 'HIGHEST'

    def before_run(self, runner: Runner) -> None:
        """Checks a local file before MMEngine unpacks it.

        Raises:
            InputError: if it is damaged, compressed, or not a regular file.
        """
        path = runner._load_from
        if path and '://' not in str(path) and not runner._has_loaded:
            where = f'checkpoint {path}'
            with open_regular(path, name=where) as file:
                check_archive(file, where)

    def after_load_checkpoint(self, runner: Runner, checkpoint: Any) -> None:
        """Checks a checkpoint.

        Raises:
            InputError: names the keys that are wrong.
        """
        where = f'checkpoint {runner._load_from}' if runner._load_from \
            else 'the checkpoint'
        clean(checkpoint, where)
        if runner._resume:
            check_resumable(checkpoint)
        state = checkpoint['state_dict']
        # Runner.train() builds its loop before it loads, Runner.test() does not
        if runner._resume or not isinstance(runner._train_loop, BaseLoop):
            check_same(state, runner.model, where, strict=False)
            return
        message = check_start(state, runner.model, where)
        if message:
            runner.logger.warning(message)
