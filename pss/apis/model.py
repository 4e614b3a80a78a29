"""From a config to a model."""

from pathlib import Path
from typing import Optional, Union

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from .. import registry
from ..errors import InputError
from ..registry import check_config
from .checkpoint import check_checkpoint

FilePath = Union[str, Path]


def load_config(config: Union[FilePath, Config]) -> Config:
    """Reads a config and checks the keys of everything that is ours.

    Raises:
        InputError: if there is no such file, it is not a config, or it has a
            key that nobody reads.
    """
    if not isinstance(config, Config):
        if not Path(config).is_file():
            raise InputError(f'config {config}: no such file')
        try:
            config = Config.fromfile(config)
        except (SyntaxError, OSError, KeyError, TypeError, ImportError,
                NameError) as error:
            raise InputError(f'config {config}: {error}') from None
    check_config(config)
    return config


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
    config = load_config(config)
    scope = config.get('default_scope', 'mmpretrain')
    with DefaultScope.overwrite_default_scope(scope):
        model = registry.MODELS.build(config.model)
    if checkpoint is None:
        model.init_weights()
    else:
        state = check_checkpoint(checkpoint, model)['state_dict']
        model.load_state_dict({k[len('module.'):] if k.startswith('module.')
                               else k: v for k, v in state.items()})
    return model.to(device).eval()
