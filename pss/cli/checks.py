"""Checks of a tool's arguments, made before it begins to work."""

import argparse
from typing import Optional, Tuple, Union

from ..checks import LARGEST_SEED, check_integer, check_number
from ..config import LARGEST


def check_integers(args: argparse.Namespace,
                   **ranges: Union[int, Tuple[int, int]]) -> None:
    """Checks the integers among the arguments that are given.

    Args:
        args: the parsed arguments.
        **ranges: by name, the least value, or the least and the greatest.

    Raises:
        InputError: for one that is out of its range.
    """
    for name, ends in ranges.items():
        least, most = ends if isinstance(ends, tuple) else (ends, LARGEST)
        if getattr(args, name) is not None:
            check_integer(_option(name), getattr(args, name), least, most)


def check_numbers(args: argparse.Namespace,
                  **ranges: Tuple[float, Optional[float]]) -> None:
    """Checks the numbers among the arguments that are given.

    Args:
        args: the parsed arguments.
        **ranges: by name, the bounds that the number must be above and, if not
            ``None``, below.

    Raises:
        InputError: for one that is not finite or out of its range.
    """
    for name, (above, below) in ranges.items():
        if getattr(args, name) is not None:
            check_number(
                _option(name), getattr(args, name), above=above, below=below)


def check_seed(args: argparse.Namespace) -> None:
    """Checks ``--seed``.

    Raises:
        InputError: if it is out of its range.
    """
    check_integers(args, seed=(0, LARGEST_SEED))


def _option(name: str) -> str:
    return f'--{name.replace("_", "-")}'
