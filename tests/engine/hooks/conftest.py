"""Shared by the tests of hooks."""

import uuid

from mmengine.hooks import Hook
from mmengine.runner import Runner


class At(Hook):
    """Calls a function after a given iteration, before the checkpoint."""

    def __init__(self, iteration, action):
        self.iteration, self.action = iteration, action

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.iteration:
            self.action(runner)


def train_with(config, hook):
    """Trains with one more hook."""
    config.experiment_name = uuid.uuid4().hex
    runner = Runner.from_cfg(config)
    runner.register_hook(hook)
    runner.train()
