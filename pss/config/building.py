"""From a config to a Runner."""

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..engine.hooks.checked_load_hook import CheckedLoadHook
from ..errors import InputError
from .failures import built_part, is_out_of_memory, said


def build_runner(cfg: Config) -> Runner:
    """Builds the Runner of a config, which checks what it loads.

    Loops, optimizer and schedulers are built later, when the runner trains or
    tests.

    Args:
        cfg: as :func:`.verify_config` left it.

    Returns:
        MMEngine's Runner, or what ``runner_type`` names, with
        :class:`.CheckedLoadHook`.

    Raises:
        InputError: if a part cannot be built; it names the part where that can
            be told.
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
