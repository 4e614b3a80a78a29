"""Building what a config describes: the Runner, or single parts of it."""

from contextlib import contextmanager
from itertools import islice
from typing import Any, Dict, Iterator

from mmengine.config import Config
from mmengine.registry import RUNNERS, DefaultScope
from mmengine.runner import Runner
from torch import Tensor, nn

from ..checks import check_integer
from ..engine import CheckedLoadHook
from ..errors import InputError
from ..resources import build_resources
from .built_part import built_part
from .failures import is_out_of_memory, said
from .sections import name_of


def build_runner(cfg: Config) -> Runner:
    """Builds the Runner of a config; it checks the checkpoints it loads.

    Loops, optimizer and schedulers are built later, when the runner trains or
    tests.

    Args:
        cfg: checked by :func:`.verify_config`.

    Returns:
        MMEngine's Runner, or the class that ``runner_type`` names, with
        :class:`.CheckedLoadHook`.

    Raises:
        InputError: if a part cannot be built; names the part if it is known.
    """
    try:
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg \
            else Runner.from_cfg(cfg)
    except (InputError, OSError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        part = built_part(error)
        where = f'config: {part}' if part else 'config'
        raise InputError(f'{where}: {said(error)}') from error
    runner.register_hook(CheckedLoadHook())
    return runner


def config_resources(config: Config) -> Dict[str, Any]:
    """Builds the resources that a config names, FLOPs first.

    Raises:
        InputError: if one cannot be built.
    """
    hooks = config.get('default_hooks') or {}
    with building_part(config, 'default_hooks.pss_sampler.resources'):
        return build_resources((hooks.get('pss_sampler')
                                or {}).get('resources'))


def calibration_images(config: Config, model: nn.Module) -> Iterator[Tensor]:
    """Loads the training images that batch norms are calibrated on.

    Args:
        config: with ``test_cfg.calibration_dataloader``.
        model: its ``data_preprocessor`` normalises them.

    Returns:
        ``test_cfg.calibration_batches`` batches ``(N, C, H, W)``.

    Raises:
        InputError: if the config has no such loader, or it cannot be built.
    """
    loop: Dict[str, Any] = config.get('test_cfg') or {}
    for field in ('calibration_dataloader', 'calibration_batches'):
        if loop.get(field) is None:
            raise InputError(f'{name_of(config)}: test_cfg.{field} is missing; '
                             'calibration needs it')
    num = check_integer('test_cfg.calibration_batches',
                        loop['calibration_batches'], 1)
    with building_part(config, 'test_cfg.calibration_dataloader'), \
            DefaultScope.overwrite_default_scope(
                config.get('default_scope', 'mmpretrain')):
        loader = Runner.build_dataloader(loop['calibration_dataloader'], seed=0)
    preprocess = model.get_submodule('data_preprocessor')
    for batch in islice(loader, num):
        yield preprocess(batch, False)['inputs']


@contextmanager
def building_part(config: Config, part: str) -> Iterator[None]:
    """Names the part of a config in errors of building it.

    Raises:
        InputError: for any exception that is not the operating system's; names
            the part found in the traceback, or else ``part``.
    """
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        part = built_part(error) or part
        raise InputError(f'{name_of(config)}: {part}: {said(error)}') from error
