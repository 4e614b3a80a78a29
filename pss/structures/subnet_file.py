"""Reading lists of subnets from JSON files."""

from typing import Iterable, List

from ..errors import InputError
from ..files import FilePath, read_json
from .search_space import SearchSpace
from .subnet import Subnet

# Fields that tools add, so that a file that a tool wrote can be read again
COST_FIELDS = ('mflops', 'fvcore_mflops', 'latency_us')


def read_subnets(path: FilePath, space: SearchSpace,
                 costs: Iterable[str] = ()) -> List[Subnet]:
    """Reads a list of ``{"resolution": int, "widths": [int]}``, or just one.

    Args:
        path: the file.
        space: the space of the subnets.
        costs: names of resources. Fields with these names, and those that
            tools add, are ignored.

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
