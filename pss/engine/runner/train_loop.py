"""The training loop."""

from typing import Any

from mmengine.runner import EpochBasedTrainLoop, Runner

from ...checks import check_integer, shown
from ...errors import InputError
from ...registry import LOOPS
from ..randomness import shared_seed
from .loading import checked, outliving
from .repeatable import repeatable


@LOOPS.register_module()
class SupernetTrainLoop(EpochBasedTrainLoop):
    """MMEngine's loop over epochs, which can also resume inside one.

    ::

        validate, if that was due where the run was interrupted
        for epoch in epochs:
            for batch in train_dataloader, except those already trained on:
                runner.train_step(batch)
            validate, every val_interval epochs

    Data is loaded reproducibly, see :mod:`.repeatable`.

    Args:
        runner: the runner.
        dataloader: config of the training images, or their loader.
        **kwargs: as for ``EpochBasedTrainLoop``: ``max_epochs``,
            ``val_begin``, ``val_interval``, ``dynamic_intervals``.

    Attributes:
        done: iterations of the current epoch that are done.

    Raises:
        InputError: for an impossible number, missing data, or an epoch without
            iterations.
    """

    # a loader over a SeededDataset, see repeatable()
    dataloader: Any

    def __init__(self, runner: Runner, dataloader: Any, **kwargs: Any) -> None:
        for key in ('max_epochs', 'val_begin', 'val_interval'):
            if key in kwargs:
                check_integer(f'train_cfg.{key}', kwargs[key], 1)
        _check_intervals(kwargs.get('dynamic_intervals'))
        super().__init__(runner, checked(runner, dataloader,
                                         'train_dataloader'), **kwargs)
        self.dataloader = repeatable(outliving(self.dataloader))
        self.done = 0

    def run(self) -> Any:
        """Trains, after the validation that was due when the run was
        interrupted at the end of an epoch."""
        self._seed_data()
        self.runner.call_hook('before_train')
        if self._epoch > 0 and self.done == 0:
            self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _seed_data(self) -> None:
        """Seeds order and augmentation.

        Not earlier: a checkpoint that is resumed from sets its run's seed.
        """
        seed = shared_seed(self.runner)
        self.dataloader.dataset.seed = seed
        sampler = self.dataloader.batch_sampler.sampler
        if hasattr(sampler, 'seed'):
            sampler.seed = seed

    def run_epoch(self) -> None:
        """Trains on what is left of an epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        batches = self.dataloader.batch_sampler
        batches.epoch, batches.start = self._epoch, self.done
        for index, batch in enumerate(self.dataloader, start=self.done):
            self.done = index + 1
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
        self.done = 0

    def _validate(self) -> None:
        """Validates if it is due."""
        self._decide_current_val_interval()
        if self.runner.val_loop is None or self._epoch < self.val_begin:
            return
        if self._epoch % self.val_interval == 0 or \
                self._epoch == self._max_epochs:
            self.runner.val_loop.run()


def _check_intervals(intervals: Any) -> None:
    """Checks ``dynamic_intervals``: pairs of a first epoch and an interval."""
    if intervals is None:
        return
    where = 'train_cfg.dynamic_intervals'
    if not isinstance(intervals, list) or not all(
            isinstance(pair, tuple) and len(pair) == 2 for pair in intervals):
        raise InputError(f'{where}={shown(intervals)}: expected a list of '
                         'pairs (epoch, interval)')
    for i, (epoch, interval) in enumerate(intervals):
        check_integer(f'{where}[{i}][0]', epoch, 0)
        check_integer(f'{where}[{i}][1]', interval, 1)
