"""Sorts the channels of a network that training starts from."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...models import SupernetClassifier, sort_channels
from ...registry import HOOKS
from ...supernet import blank
from ..checkpoints.weights import own_model


@HOOKS.register_module()
class SortChannelsHook(Hook):
    """Gives a supernet a head start from trained weights: before training, the
    channels of each width are put in the order of their importance, so that
    subnets, which have the first channels, have the best ones.

    For weights of a network that was trained as it is (``load_from``, or
    ``init_cfg`` of the backbone). The largest subnet computes the same as
    before. A supernet's own checkpoint is in order already, and so is a
    training that is resumed, which this leaves alone.

    ::

        load_from = 'mobilenet_v2.pth'
        custom_hooks = [dict(type='pss.SortChannelsHook')]

    See :func:`.sort_channels`. In a detector only channels inside of the
    backbone are sorted.
    """

    # before hooks that copy the weights
    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Sorts the channels, unless the training goes on."""
        if runner.iter > 0:
            return
        model: Any = own_model(runner.model)
        space = model.search_space
        model.switch_to(space.largest)
        network = model if isinstance(model, SupernetClassifier) else \
            model.backbone
        orders = sort_channels(network, blank(model, space.largest.resolution))
        runner.logger.info(f'sorted the channels of {len(orders)} layers by '
                           'importance')
