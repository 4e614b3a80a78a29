"""Writing a network's config as a file that holds data only."""

import ast
import keyword
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from mmengine.config import Config

from ..checks import check_number, shown
from ..errors import InputError
from ..files import FilePath, system_errors
from .export_files import write_files


def write_config(
    model: Dict[str, Any],
    path: FilePath,
    testing: Optional[Dict[str, Any]] = None,
    others: Optional[Mapping[Path, bytes]] = None,
    packages: Sequence[str] = ()
) -> None:
    """Writes the config file of an extracted network.

    Args:
        model, testing, packages: see :func:`config_text`.
        path: the file.
        others: further files; all are written, or none.

    Raises:
        InputError: if the config cannot be written as data, see
            :func:`config_text`, or a file cannot be written.
    """
    text = config_text(model, testing, packages)
    write_files({**(others or {}), Path(path): text.encode()})


def config_text(
    model: Dict[str, Any],
    testing: Optional[Dict[str, Any]] = None,
    packages: Sequence[str] = ()) -> str:
    """The config file of an extracted network, for mmpretrain or mmdet.

    Config files are programs, and MMEngine also expands templates in them.
    This one holds data only: its syntax tree is checked before anything runs
    it, and then that MMEngine reads back from it what was meant.

    Args:
        model: config of the network.
        testing: configs of the ``dataloader`` and ``evaluator`` that a Runner
            tests it with.
        packages: packages that register the model's classes, imported after
            this one.

    Raises:
        InputError: for anything but numbers, text, lists, dicts, booleans and
            None, and for texts and keys that a config cannot hold.
    """
    detector = 'mmdet.' in f'{model.get("detector")} {model["type"]}'
    head = dict(
        custom_imports=dict(imports=['pss', *packages]),
        default_scope='mmdet' if detector else 'mmpretrain')
    given = dict(model=model)
    if testing:
        given.update(
            test_dataloader=testing['dataloader'],
            test_evaluator=_plain_evaluator(testing['evaluator']),
            test_cfg=dict())
    body = {key: _data(value, key) for key, value in given.items()}
    text = (f'custom_imports = dict(imports={["pss", *packages]!r})\n'
            f'default_scope = {head["default_scope"]!r}\n'
            f'{Config(body).pretty_text}')
    _check_text(text, {**head, **body})
    return text


def _data(value: Any, where: str) -> Any:
    """Copies a part of a config that a file can hold as data.

    Args:
        value: the part.
        where: its path in the config, for the message.

    Raises:
        InputError: if a file cannot hold it.
    """
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or not key.isascii() or \
                    not key.isidentifier() or keyword.iskeyword(key):
                raise InputError(f'{where}: key {shown(key)}: expected a name '
                                 'that is an identifier in Python')
        return {
            key: _data(item, f'{where}.{key}')
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        items = [_data(item, f'{where}[{i}]') for i, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if type(value) is str:
        if '{{' in value or '}}' in value:
            raise InputError(f'{where}={shown(value)}: expected a text without '
                             '{{ and }}, which MMEngine takes for a template')
    elif type(value) in (int, float):
        check_number(where, value)
    elif value is not None and type(value) is not bool:
        raise InputError(f'{where}={shown(value)}: expected numbers, text, '
                         'lists, dicts, booleans and None, found '
                         f'{type(value).__name__}')
    return value


def _check_text(text: str, meant: Dict[str, Any]) -> None:
    """Checks that a config's text is data only, and reads back as meant.

    Args:
        text: the text; it is not run before its syntax tree has been checked.
        meant: the fields of the config.

    Raises:
        InputError: if it is not.
    """
    try:
        found = _assigned(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError('the config of the network cannot be written: its '
                         f'text would be more than data ({error})') from None
    if _same(found, meant):
        with system_errors(f'{tempfile.gettempdir()}: cannot be written to'), \
                tempfile.TemporaryDirectory() as folder:
            path = Path(folder, 'config.py')
            path.write_text(text, encoding='utf-8')
            found = Config.fromfile(path).to_dict()
    if not _same(found, meant):
        raise InputError('the config of the network cannot be written: what '
                         'is read from its text differs from it')


def _assigned(module: ast.Module) -> Dict[str, Any]:
    """The values of a program that only assigns data to names, by name.

    Raises:
        ValueError: if it does anything else; names the line.
    """
    values: Dict[str, Any] = {}
    for node in module.body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or \
                not isinstance(node.targets[0], ast.Name) or \
                node.targets[0].id in values:
            raise ValueError(f'line {node.lineno}')
        values[node.targets[0].id] = _value(node.value)
    return values


def _value(node: ast.expr) -> Any:
    """The value of an expression of literals and calls of ``dict``.

    Raises:
        ValueError: for any other expression.
    """
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and \
            node.func.id == 'dict' and not node.args and \
            all(word.arg is not None for word in node.keywords):
        return {word.arg: _value(word.value) for word in node.keywords}
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    return ast.literal_eval(node)  # raises ValueError for anything else


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, with the same type in every part."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and \
            all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _plain_evaluator(evaluator: Any) -> Any:
    """An evaluator with mmpretrain's accuracy instead of this package's."""
    if isinstance(evaluator, (list, tuple)):
        return [_plain_evaluator(item) for item in evaluator]
    if evaluator.get('type') != 'pss.SubnetAccuracy':
        return evaluator
    # pss.SubnetAccuracy has no threshold for scores
    return dict(
        evaluator,
        type='Accuracy',
        thrs=None,
        topk=tuple(evaluator.get('topk', (1, ))))
