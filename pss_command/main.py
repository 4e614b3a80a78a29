"""``pss COMMAND ARGUMENTS``: help, configs, and the tools."""

import ast
import difflib
import fnmatch
import runpy
import sys
from pathlib import Path
from typing import List, Optional

from .carried import (
    ROOT,
    carried_configs,
    carried_folder,
    find_config,
    nearest_config,
)
from .commands import TOOLS, run_tool, summary
from .errors import UsageError, printable

OWN = {
    'configs': 'Lists the configs of the package: pss configs [PATTERN].',
    'config': 'Prints the text of a config, to start from: pss config CONFIG.',
}
HELP = ('-h', '--help')


def main(words: Optional[List[str]] = None) -> None:
    """Runs the command.

    The exit status is 2 for a command line that cannot be followed, otherwise
    the tool's.

    Args:
        words: after ``pss``; by default those of this process.
    """
    words = sys.argv[1:] if words is None else words
    try:
        _dispatch(words)
        sys.stdout.flush()
    except UsageError as error:
        print(printable(f'pss: error: {error}'), file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader has gone, such as `head`
        sys.stderr.close()
        sys.exit(141)


def _dispatch(words: List[str]) -> None:
    if not words or words[0] in HELP:
        print(_help())
        return
    command, *rest = words
    if command == '--version':
        version = runpy.run_path(str(ROOT / 'pss' / 'version.py'))
        print(f'pss-net {version["__version__"]}')
    elif command in TOOLS:
        run_tool(command, rest)
    elif command in OWN and set(HELP) & set(rest):
        print(OWN[command])
    elif command == 'configs':
        print('\n'.join(list_configs(rest)))
    elif command == 'config':
        print(config_text(rest), end='')
    else:
        near = difflib.get_close_matches(command, [*OWN, *TOOLS], 1)
        hint = f'; the nearest is {near[0]!r}' if near else ''
        raise UsageError(f'command {command!r}: expected one of those that '
                         f'`pss --help` lists{hint}')


def _help() -> str:
    lines = {**OWN, **{command: summary(command) for command in TOOLS}}
    width = max(map(len, lines))
    return '\n'.join([
        'usage: pss COMMAND [ARGUMENTS]\n',
        *(f'  {command:{width}}  {line}' for command, line in lines.items()),
        '\n`pss COMMAND --help` lists the arguments of a command. A CONFIG is '
        'a file, or the\nname of one of `pss configs`.'
    ])


def list_configs(words: List[str]) -> List[str]:
    """Lines for ``pss configs``: the name of each config, and what it says
    about itself.

    Args:
        words: at most one pattern: part of a name, or with ``*``, ``?`` and
            ``[...]`` all of it.

    Raises:
        UsageError: for several patterns, and for one that no name matches.
    """
    if len(words) > 1:
        raise UsageError(f'configs: {len(words)} patterns; expected at most '
                         'one (is a * not quoted?)')
    pattern = words[0] if words else '*'
    glob = pattern if set(pattern) & set('*?[') else f'*{pattern}*'
    folder = carried_folder() / 'configs'
    names = {
        path.relative_to(folder).as_posix()[:-3]: path
        for path in carried_configs().values()
    }
    found = {
        name: path
        for name, path in sorted(names.items())
        if fnmatch.fnmatchcase(name, glob)
    }
    if not found:
        raise UsageError(f'configs: pattern {pattern!r}: expected part of the '
                         'name of a config; `pss configs` lists all')
    width = max(map(len, found))
    return [
        f'{name:{width}}  {_first_line(path)}' for name, path in found.items()
    ]


def _first_line(path: Path) -> str:
    with open(path, encoding='utf-8') as file:
        return file.readline().lstrip('# ').rstrip()


def config_text(words: List[str]) -> str:
    """The text for ``pss config``, with the files in ``_base_`` named in full,
    so that it can be saved in any folder.

    Args:
        words: the config.

    Raises:
        UsageError: unless it is one config that can be found.
    """
    if len(words) != 1:
        raise UsageError(f'config: {len(words)} arguments; expected the name '
                         'of one config')
    try:
        path = find_config(words[0])
    except OSError:  # a name that no file can have
        path = None
    if path is None:
        near = nearest_config(words[0])
        hint = f'; the nearest is {near}' if near else ''
        raise UsageError(f'config {words[0]!r}: expected a file, or one that '
                         f'`pss configs` lists{hint}')
    try:
        text = path.read_text(encoding='utf-8')
        return _with_full_bases(text, path.resolve().parent)
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError) as error:
        raise UsageError(f'config {words[0]!r}: expected a config in Python '
                         f'({str(error).splitlines()[0]})') from None


def _with_full_bases(text: str, folder: Path) -> str:
    """A config's text, with the relative paths in ``_base_`` made absolute;
    those in other packages, ``mmdet::...``, stay."""
    values = [
        node.value for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == '_base_'
            for target in node.targets)
    ]
    bases = [(inner.lineno, inner.col_offset, inner.end_col_offset, inner.value)
             for value in values for inner in ast.walk(value)
             if isinstance(inner, ast.Constant)
             and isinstance(inner.value, str) and '::' not in inner.value]
    lines = text.splitlines(keepends=True)
    # from the end, so that the places of those before stay right
    for line, start, end, base in sorted(bases, reverse=True):
        before = lines[line - 1].encode()  # the columns count bytes
        path = repr(str((folder / base).resolve()))
        lines[line - 1] = (before[:start] + path.encode() +
                           before[end:]).decode()
    return ''.join(lines)
