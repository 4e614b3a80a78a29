"""Building the model of a config."""

import logging
from contextlib import contextmanager
from typing import Any, Iterator, Optional, Union

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from .. import registry
from ..config import (
    building_part,
    fill_from_data,
    load_config,
    need_fields,
    needs_data,
)
from ..deploy.extraction import model_config
from ..engine.checkpoints import check_checkpoint
from ..engine.checkpoints.weights import unwrapped
from ..files import FilePath
from ..registry import check_config


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps MMEngine from logging how each parameter was initialised."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def init_model(config: Union[FilePath, Config],
               checkpoint: Optional[FilePath] = None,
               device: Union[str, torch.device] = 'cpu') -> Any:
    """Builds the model of a config, in evaluation mode.

    ::

        model = init_model('configs/pss_mbv2_imagenet.py', 'latest.pth')
        model.switch_to(model.search_space.smallest)
        logits = model(images, mode='tensor')    # (N, C, H, W) to (N, classes)

    Args:
        config: path of a config, or the result of :func:`.load_config`; fields
            that follow from its data are filled in.
        checkpoint: path of the weights to load; random ones by default.
        device: where the model goes.

    Returns:
        The supernet (see :class:`pss.supernet.Supernet`), or the plain model
        of another config.

    Raises:
        InputError: for a bad config, and for a checkpoint that does not fit.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    need_fields(config, ['model'])
    with building_part(config, 'model'):
        check_config(config)
        if needs_data(config):
            fill_from_data(config)
        scope = config.get('default_scope', 'mmpretrain')
        with DefaultScope.overwrite_default_scope(scope):
            model = registry.MODELS.build(model_config(config))
        if checkpoint is None:
            with _quiet():
                model.init_weights()
    if checkpoint is not None:
        state = check_checkpoint(checkpoint, model)['state_dict']
        model.load_state_dict(unwrapped(state))
    return model.to(device).eval()
