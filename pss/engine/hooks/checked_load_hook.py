"""Keeps a run from starting with weights that are not its model's."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from ...files import open_regular
from ...registry import HOOKS
from ..checkpoints.archive import check_archive
from ..checkpoints.saved_state import check_resumable
from ..checkpoints.weights import check_same, check_start, clean


@HOOKS.register_module()
class CheckedLoadHook(Hook):
    """Checks what MMEngine has loaded, before any of it is used.

    MMEngine loads the weights that fit and leaves the others as they were
    initialised, which may be all of them. With this hook a run that resumes or
    tests needs every weight of its model. One that starts training from
    ``load_from`` needs those of the whole backbone: its neck and head may be
    others, which the log then says in one warning.

    A file's check sums are compared, which torch does not, before it is loaded.
    Wherever the checkpoint came from, an entry ``meta.config``, which MMEngine
    would run as a program, is removed.
    """

    # before the hooks that read what is in the checkpoint
    priority = 'HIGHEST'

    def before_run(self, runner) -> None:
        """Checks a file of this machine before MMEngine unpacks it.

        Raises:
            InputError: if it is damaged, packed, or no regular file.
        """
        path = runner._load_from
        if path and '://' not in str(path) and not runner._has_loaded:
            where = f'checkpoint {path}'
            with open_regular(path, name=where) as file:
                check_archive(file, where)

    def after_load_checkpoint(self, runner, checkpoint: Any) -> None:
        """Checks a checkpoint.

        Raises:
            InputError: it names the keys that are wrong.
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
