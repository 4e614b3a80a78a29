"""Reading configs, and building single parts of them."""

import ast
import re
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor, nn

from ..checks import check_integer
from ..config.checks import (
    check_sections,
    import_modules,
    name_of,
)
from ..config.failures import built_part, is_out_of_memory, said
from ..errors import InputError
from ..files import FilePath
from ..resources import build_resources


def load_config(config: FilePath) -> Config:
    """Reads a config, and imports the modules that it names.

    A config is a program: what it raises is part of the message.

    Raises:
        InputError: if there is no such file, or it is not a config.
    """
    where = f'config {config}'
    try:
        if not Path(config).is_file():
            reason = 'not a file' if Path(config).exists() else 'no such file'
            raise InputError(f'{where}: {reason}')
        _check_bases(Path(config), ())
        read = Config.fromfile(config, import_custom_modules=False)
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(
            f'{where}: expected text in UTF-8 ({said(error)})') from None
    except RecursionError:
        raise InputError(f'{where}: nested too deeply') from None
    except (Exception, SystemExit) as error:
        raise InputError(f'{where}: {_reason(error, config)}') from None
    if not len(read):
        raise InputError(f'{where}: expected fields such as model, found none')
    try:
        import_modules(read)
    except InputError as error:
        raise InputError(f'{where}: {error}') from error.__cause__
    check_sections(read)
    return read


def _check_bases(path: Path, above: Tuple[Path, ...]) -> None:
    """Refuses a config that is among its own ``_base_`` files, which MMEngine
    would read again and again.

    Args:
        path: of a config; nothing is done if it cannot be read.
        above: those that it is a base of.
    """
    path = path.resolve()
    if path in above:
        raise InputError(f'config {above[0]}: {path} is one of its own _base_ '
                         'files')
    bases = []
    with suppress(OSError, ValueError, SyntaxError):
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(node, ast.Assign) and any(
                    isinstance(target, ast.Name) and target.id == '_base_'
                    for target in node.targets):
                found = ast.literal_eval(node.value)
                bases = [found] if isinstance(found, str) else found
    for base in bases:
        if '::' not in base:  # another package's
            _check_bases(path.parent / base, (*above, path))


def _reason(error: BaseException, config: FilePath) -> str:
    """Why a config cannot be read."""
    if isinstance(error, AttributeError) and Path(config).suffix != '.py':
        return 'expected a dict of fields, such as model'
    # MMEngine reads a copy, of which nobody knows
    reason = re.sub('There are syntax errors in config file .*?: ', '',
                    said(error))
    mark = getattr(error, 'problem_mark', None)  # YAML's
    if mark is not None:
        reason += f', line {mark.line + 1}'
    if isinstance(error, (SyntaxError, KeyError)) and \
            '{{' in Path(config).read_text(encoding='utf-8'):
        reason += '; does each {{...}} stand for something?'
    return reason


def config_resources(config: Config) -> Dict[str, Any]:
    """The resources that a config names, FLOPs first.

    Raises:
        InputError: if one cannot be built.
    """
    hooks = config.get('default_hooks') or {}
    with building(config, 'default_hooks.pss_sampler.resources'):
        return build_resources((hooks.get('pss_sampler')
                                or {}).get('resources'))


def calibration_images(config: Config, model: nn.Module) -> Iterator[Tensor]:
    """The training images that a config calibrates batch norms on.

    Args:
        config: with ``test_cfg.calibration_dataloader``.
        model: preprocesses them.

    Returns:
        Batches ``(N, C, H, W)``, ``test_cfg.calibration_batches`` of them.

    Raises:
        InputError: if the config has no such loader, or it cannot be built.
    """
    loop = config.get('test_cfg') or {}
    for field in ('calibration_dataloader', 'calibration_batches'):
        if loop.get(field) is None:
            raise InputError(f'{name_of(config)}: test_cfg.{field} is missing; '
                             'calibration needs it')
    num = check_integer('test_cfg.calibration_batches',
                        loop.calibration_batches, 1)
    with building(config, 'test_cfg.calibration_dataloader'), \
            DefaultScope.overwrite_default_scope(
                config.get('default_scope', 'mmpretrain')):
        loader = Runner.build_dataloader(loop.calibration_dataloader, seed=0)
    for batch in islice(loader, num):
        yield model.data_preprocessor(batch, False)['inputs']


@contextmanager
def building(config: Config, part: str) -> Iterator[None]:
    """Says which part of a config it is that cannot be built."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        part = built_part(error) or part
        raise InputError(f'{name_of(config)}: {part}: {said(error)}') from error
