"""Reading and writing lists of subnets as JSON."""

import json
import re
from pathlib import Path
from typing import Any, Iterable, List, Union

from ..errors import InputError
from ..files import parse_json, read_regular, whole_file
from .search_space import SearchSpace
from .subnet import Subnet

# Fields that the tools add. A file that a tool wrote can be read again.
COST_FIELDS = ('mflops', 'fvcore_mflops', 'latency_us')


def read_subnets(path: Union[str, Path],
                 space: SearchSpace,
                 costs: Iterable[str] = ()) -> List[Subnet]:
    """Reads a list of ``{"resolution": int, "widths": [int]}``, or one of them.

    Args:
        path: of the file.
        space: of the subnets.
        costs: names of resources. Fields of this name, and those that tools
            add, are left out.

    Raises:
        InputError: if the file cannot be read, is not such a list, or names a
            subnet that is not in ``space``; it says which entry and field.
    """
    rows = read_json(path)
    if isinstance(rows, dict) and 'widths' in rows:
        rows = [rows]
    if not isinstance(rows, list):
        raise InputError(f'{path}: expected a list of subnets, found '
                         f'{type(rows).__name__}')
    subnets = []
    for i, row in enumerate(rows):
        if isinstance(row, dict):
            row = {
                k: v
                for k, v in row.items() if k not in (*COST_FIELDS, *costs)
            }
        try:
            subnets.append(space.validate(Subnet.from_dict(row)))
        except InputError as error:
            raise InputError(f'{path}, subnet {i}: {error}') from None
    return subnets


def read_json(path: Union[str, Path]) -> Any:
    """Reads a JSON file.

    Raises:
        InputError: if there is none, it is not a regular file or too large,
            or it is not JSON; see :func:`pss.files.parse_json` for its limits.
    """
    content = read_regular(path)
    try:
        return parse_json(content.decode('utf-8'))
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: not a JSON file ({error})') from None


def write_json(value: Any, path: Union[str, Path]) -> None:
    """Writes a JSON file whole or not at all, one list entry a line."""
    if isinstance(value, list):
        text = '[' + ',\n '.join(map(json.dumps, value)) + ']\n'
    else:
        text = json_text(value)
    write_text(text, path)


def json_text(value: Any, **options) -> str:
    """JSON for people: indented, lists of numbers, such as widths, on one line.

    Args:
        value: what to write.
        **options: as for :func:`json.dumps`.
    """
    # a string, which stays as it is, or a list of numbers
    return re.sub(
        r'"(?:[^"\\]|\\.)*"|\[\s*(\d[\d,\s]*)\]', lambda found: found[0]
        if found[1] is None else f'[{" ".join(found[1].split())}]',
        json.dumps(value, indent=1, **options)) + '\n'


def write_text(text: str, path: Union[str, Path]) -> None:
    """Writes a text file whole or not at all: a temporary name, then renamed.

    Raises:
        InputError: if the file cannot be written.
    """
    with whole_file(path) as file:
        file.write_text(text, encoding='utf-8')
