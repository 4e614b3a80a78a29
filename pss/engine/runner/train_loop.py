"""The training loop."""

from typing import Any

from mmengine.runner import EpochBasedTrainLoop

from ...checks import check_integer, shown
from ...errors import InputError
from ...registry import LOOPS
from ..randomness import shared_seed
from .loading import checked
from .repeatable import repeatable


@LOOPS.register_module()
class SupernetTrainLoop(EpochBasedTrainLoop):
    """MMEngine's loop over epochs, which can also start inside one.

    ::

        validate, if that was due where the run was interrupted
        for epoch in epochs:
            for batch in train_dataloader, but for those already trained on:
                runner.train_step(batch)
            validate, every val_interval epochs

    Data is loaded as :mod:`.repeatable` says.

    Args:
        runner: the runner.
        dataloader: config of the training images, or their loader.
        **kwargs: as for ``EpochBasedTrainLoop``: ``max_epochs``,
            ``val_begin``, ``val_interval``, ``dynamic_intervals``.

    Attributes:
        done: iterations of the current epoch that were trained.

    Raises:
        InputError: for a number that cannot be, data that is not there, and
            an epoch without iterations.
    """

    def __init__(self, runner, dataloader: Any, **kwargs) -> None:
        for key in ('max_epochs', 'val_begin', 'val_interval'):
            if key in kwargs:
                check_integer(f'train_cfg.{key}', kwargs[key], 1)
        _check_intervals(kwargs.get('dynamic_intervals'))
        super().__init__(runner, checked(runner, dataloader,
                                         'train_dataloader'), **kwargs)
        self.dataloader = repeatable(self.dataloader)
        self.done = 0

    def run(self) -> Any:
        """Trains; what a checkpoint at the end of an epoch left to do comes
        first."""
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

        Here, since a checkpoint that was loaded brings its run's seed.
        """
        seed = shared_seed(self.runner)
        self.dataloader.dataset.seed = seed
        sampler = self.dataloader.batch_sampler.sampler
        if hasattr(sampler, 'seed'):
            sampler.seed = seed

    def run_epoch(self) -> None:
        """Trains on the rest of an epoch."""
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
        """Validates if it is time for it."""
        self._decide_current_val_interval()
        if self.runner.val_loop is None or self._epoch < self.val_begin:
            return
        if self._epoch % self.val_interval == 0 or \
                self._epoch == self._max_epochs:
            self.runner.val_loop.run()


def _check_intervals(intervals: Any) -> None:
    """Checks ``dynamic_intervals``: from which epoch on which interval."""
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
