"""Checks of single values.

Each raises one :class:`.InputError` that names the field, its value and what
was expected, and gives the value back otherwise.
"""

import math
from typing import Any, Collection, Optional

from .errors import InputError

LONGEST_NAME = 200  # characters of a name in a file


def shown(value: Any, longest: int = 80) -> str:
    """A value as messages show it: one line, shortened."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers of thousands of digits
        text = f'a very large {type(value).__name__}'
    return text if len(text) <= longest else f'{text[:longest - 3]}...'


def is_integer(value: Any) -> bool:
    """Whether it is an integer, and no boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a finite number that a float can hold, and no boolean."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def check_integer(name: str, value: Any, least: Optional[int] = None,
                  most: Optional[int] = None) -> int:
    """An integer inside a range, both ends included.

    Args:
        name: the field's, for the message.
        value: what it holds.
        least, most: the range; without an end where ``None``.

    Raises:
        InputError: for anything else.
    """
    if not is_integer(value) or least is not None and value < least or \
            most is not None and value > most:
        raise InputError(f'{name}={shown(value)}: expected an integer'
                         f'{_range(least, most)}')
    return value


def check_number(name: str, value: Any, least: Optional[float] = None,
                 most: Optional[float] = None, above: Optional[float] = None,
                 below: Optional[float] = None) -> float:
    """A finite number inside a range.

    Args:
        name: the field's, for the message.
        value: what it holds.
        least, most: the range's ends, where they are included.
        above, below: its ends, where they are not.

    Raises:
        InputError: for anything else, NaN and infinity among it.
    """
    if not is_number(value) or least is not None and value < least or \
            most is not None and value > most or \
            above is not None and value <= above or \
            below is not None and value >= below:
        raise InputError(f'{name}={shown(value)}: expected a finite number'
                         f'{_range(least, most, above, below)}')
    return value


def check_boolean(name: str, value: Any) -> bool:
    """True or False.

    Raises:
        InputError: for anything else.
    """
    if not isinstance(value, bool):
        raise InputError(f'{name}={shown(value)}: expected True or False')
    return value


def check_choice(name: str, value: Any, choices: Collection[Any]) -> Any:
    """One of several values.

    Raises:
        InputError: for anything else.
    """
    # 1 == True and 1 == 1.0, so types are compared as well
    if not any(type(value) is type(choice) and value == choice
               for choice in choices):
        raise InputError(f'{name}={shown(value)}: expected one of '
                         f'{", ".join(map(repr, choices))}')
    return value


def check_text(name: str, value: Any, longest: int = LONGEST_NAME) -> str:
    """A text that can be printed on one line and is not too long.

    Raises:
        InputError: for anything else, terminal control characters among it.
    """
    if not isinstance(value, str) or not value.isprintable() or \
            len(value) > longest:
        raise InputError(f'{name}={shown(value)}: expected a printable text '
                         f'of at most {longest} characters')
    return value


def _range(least: Optional[float], most: Optional[float],
           above: Optional[float] = None,
           below: Optional[float] = None) -> str:
    """How a range reads in a message; empty for none."""
    parts = [f'{words} {end!r}' for words, end in (
        ('of at least', least), ('above', above), ('of at most', most),
        ('below', below)) if end is not None]
    text = ' and '.join(parts).replace('and of at', 'and at')
    return f' {text}' if text else ''
