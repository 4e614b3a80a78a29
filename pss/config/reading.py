"""Reading config files."""

import ast
import re
from contextlib import suppress
from pathlib import Path
from typing import List, Tuple

from mmengine.config import Config

from pss_command.carried import find_config, nearest_config

from ..errors import InputError
from ..files import FilePath
from .failures import said
from .sections import check_sections, import_modules


def load_config(config: FilePath) -> Config:
    """Reads a config, and imports the modules that it names.

    A config is a program; an exception that it raises is part of the message.

    Args:
        config: a file, or the name of a config of the package, see
            ``pss_command.carried.find_config``.

    Raises:
        InputError: if the file does not exist or is not a config.
    """
    where, found = f'config {config}', None
    try:
        found = find_config(str(config))
        if found is None:
            raise InputError(f'{where}: {_absence(str(config))}')
        _check_bases(found, ())
        read = Config.fromfile(found, import_custom_modules=False)
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(
            f'{where}: expected text in UTF-8 ({said(error)})') from None
    except RecursionError:
        raise InputError(f'{where}: nested too deeply') from None
    except (Exception, SystemExit) as error:
        raise InputError(
            f'{where}: {_reason(error, found or config)}') from None
    if not len(read):
        raise InputError(f'{where}: expected fields such as model, found none')
    try:
        import_modules(read)
    except InputError as error:
        raise InputError(f'{where}: {error}') from error.__cause__
    check_sections(read)
    return read


def _absence(config: str) -> str:
    """Why there is no such config."""
    if Path(config).exists():
        return 'not a file'
    near = nearest_config(config)
    return 'no such file' + (
        f', nor a config of the package; the nearest is {near}' if near else '')


def _check_bases(path: Path, above: Tuple[Path, ...]) -> None:
    """Refuses a config that is one of its own ``_base_`` files, which MMEngine
    would read over and over.

    Args:
        path: of a config; ignored if it cannot be read.
        above: the chain of configs that it is a base of.

    Raises:
        InputError: names the file.
    """
    path = path.resolve()
    if path in above:
        raise InputError(f'config {above[0]}: {path} is one of its own _base_ '
                         'files')
    bases: List[str] = []
    with suppress(OSError, ValueError, SyntaxError):
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(node, ast.Assign) and any(
                    isinstance(target, ast.Name) and target.id == '_base_'
                    for target in node.targets):
                found = ast.literal_eval(node.value)
                bases = [found] if isinstance(found, str) else found
    for base in bases:
        if '::' not in base:  # of another package
            _check_bases(path.parent / base, (*above, path))


def _reason(error: BaseException, config: FilePath) -> str:
    """Why a config cannot be read."""
    if isinstance(error, AttributeError) and Path(config).suffix != '.py':
        return 'expected a dict of fields, such as model'
    # MMEngine names a temporary copy, which means nothing to the user
    reason = re.sub('There are syntax errors in config file .*?: ', '',
                    said(error))
    mark = getattr(error, 'problem_mark', None)  # YAML's
    if mark is not None:
        reason += f', line {mark.line + 1}'
    if isinstance(error, (SyntaxError, KeyError)) and \
            '{{' in Path(config).read_text(encoding='utf-8'):
        reason += '; is every {{...}} defined?'
    return reason
