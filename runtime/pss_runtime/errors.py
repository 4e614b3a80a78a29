"""The error for bad input, and checks that raise it."""

import math
import reprlib
from numbers import Real
from typing import Any

LONGEST = 4000  # characters of a message
# begins the traceback that torch adds to an error of a data loading process
_OF_A_WORKER = '\nOriginal Traceback (most recent call last):'


def printable(text: str) -> str:
    """A text as one line that is safe to print in a terminal: line ends,
    control and other unprintable characters are escaped."""
    return ''.join(
        c if c.isprintable() else c.encode('unicode_escape').decode()
        for c in text)


def without_traceback(text: str) -> str:
    """An error's message without a worker's traceback.

    When a data loading process fails, torch raises its error again with the
    whole traceback as the message; the last line is what the error said.
    """
    return text.strip().splitlines()[-1].strip() \
        if _OF_A_WORKER in text else text


class InputError(ValueError):
    """Bad input: a config, a file or an argument.

    The message names the field, its value and what was expected. The
    command-line tools print it as one line and exit with status 2.
    """

    def __str__(self) -> str:
        text = without_traceback(super().__str__())
        kind = type(self)
        text = text.removeprefix(f'{kind.__module__}.{kind.__name__}: ')
        return printable(
            text if len(text) <= LONGEST else f'{text[:LONGEST]}...')


def shown(value: Any) -> str:
    """A value as messages show it: on one line, shortened."""
    try:
        return reprlib.repr(value)
    except ValueError:  # integers of thousands of digits
        return f'a very large {type(value).__name__}'


def number(name: str,
           value: Any,
           least: float = -math.inf,
           above: float = -math.inf,
           below: float = math.inf) -> float:
    """Checks that a value is a finite number in a range."""
    try:
        good = isinstance(value, Real) and not isinstance(value, bool) and \
            math.isfinite(value) and least <= float(value) and \
            above < float(value) < below
    except OverflowError:  # an integer beyond all floats
        good = False
    if not good:
        ends = [
            f'{words} {end:g}'
            for words, end in (('of at least', least), ('above', above),
                               ('below', below)) if math.isfinite(end)
        ]
        raise InputError(f'{name}={shown(value)}: expected a finite number '
                         f'{" and ".join(ends)}'.rstrip())
    return value


def integer(name: str, value: Any, least: int = 1) -> int:
    """Checks that a value is an integer of at least some size."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f'{name}={shown(value)}: expected an integer of at '
                         f'least {least}')
    return value
