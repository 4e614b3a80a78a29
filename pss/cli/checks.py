"""Checks of a tool's arguments, before hours of work and not after them."""

import argparse
from typing import Optional, Tuple, Union

from ..checks import check_integer, check_number
from ..config.checks import LARGEST, LARGEST_SEED


def check_integers(args: argparse.Namespace,
                   **ranges: Union[int, Tuple[int, int]]) -> None:
    """Checks integers, where they are given.

    Args:
        args: what was parsed.
        **ranges: the least of each argument, or its least and its most.

    Raises:
        InputError: for one that is out of its range.
    """
    for name, ends in ranges.items():
        least, most = ends if isinstance(ends, tuple) else (ends, LARGEST)
        if getattr(args, name) is not None:
            check_integer(_option(name), getattr(args, name), least, most)


def check_numbers(args: argparse.Namespace,
                  **ranges: Tuple[float, Optional[float]]) -> None:
    """Checks numbers, where they are given: finite, above one and below
    another.

    Args:
        args: what was parsed.
        **ranges: what each argument must be above and, if not ``None``, below.

    Raises:
        InputError: for one that is out of its range.
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
