"""From a config to a model."""

import logging
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Union

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor, nn

from .. import registry
from ..deploy.extraction import model_config
from ..errors import InputError
from ..registry import check_config
from ..resources import build_resources
from .checkpoint import check_checkpoint

FilePath = Union[str, Path]


def load_config(config: FilePath) -> Config:
    """Reads a config.

    Raises:
        InputError: if there is no such file, or it is not a config.
    """
    if not Path(config).is_file():
        raise InputError(f'config {config}: no such file')
    try:
        return Config.fromfile(config)
    except (SyntaxError, OSError, KeyError, TypeError, ImportError, NameError,
            ValueError) as error:
        raise InputError(f'config {config}: {error}') from None


def config_resources(config: Config) -> Dict[str, Any]:
    """The resources that a config names, FLOPs first."""
    hooks = config.get('default_hooks') or {}
    return build_resources((hooks.get('pss_sampler') or {}).get('resources'))


def calibration_images(config: Config, model: nn.Module) -> Iterator[Tensor]:
    """The training images that a config calibrates batch norms on.

    Args:
        config: with ``test_cfg.calibration_dataloader``.
        model: preprocesses them.

    Returns:
        Batches ``(N, C, H, W)``, ``test_cfg.calibration_batches`` of them.
    """
    loop = config.test_cfg
    with DefaultScope.overwrite_default_scope(
            config.get('default_scope', 'mmpretrain')):
        loader = Runner.build_dataloader(loop.calibration_dataloader, seed=0)
    for batch in islice(loader, loop.calibration_batches):
        yield model.data_preprocessor(batch, False)['inputs']


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps MMEngine from printing how each parameter was initialised."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def init_model(config: Union[FilePath, Config],
               checkpoint: Optional[FilePath] = None,
               device: Union[str, torch.device] = 'cpu') -> nn.Module:
    """Builds the model of a config, in evaluation mode.

    Args:
        config: path of a config, or one that was read.
        checkpoint: weights to load; random ones without.
        device: where the model goes.

    Returns:
        The supernet: ``model.search_space``, ``model.switch_to(subnet)``,
        ``model(x, mode='tensor')`` for logits.

    Raises:
        InputError: for a bad config, or a checkpoint that does not fit.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    check_config(config)
    scope = config.get('default_scope', 'mmpretrain')
    with DefaultScope.overwrite_default_scope(scope):
        model = registry.MODELS.build(model_config(config))
    if checkpoint is None:
        with _quiet():
            model.init_weights()
    else:
        state = check_checkpoint(checkpoint, model)['state_dict']
        model.load_state_dict({k[len('module.'):] if k.startswith('module.')
                               else k: v for k, v in state.items()})
    return model.to(device).eval()
