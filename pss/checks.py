"""Checks of values, one by one or as the fields of a JSON object.

Each check returns the value if it is good, and otherwise raises an
:class:`.InputError` that names the field, the value and what was expected.
"""

import difflib
import json
import math
import reprlib
from numbers import Real
from typing import Any, Collection, Dict, Iterable, Optional

from .errors import InputError

LONGEST_NAME = 200  # characters of a name in a file
LONGEST_PATH = 4096  # characters
LARGEST_SEED = 2**32 - 1  # that NumPy accepts


def shown(value: Any, longest: int = 80) -> str:
    """A value as messages show it: on one line, shortened.

    No more of the value is read than is shown, since a small file can hold
    lists that would print without end.
    """
    short = reprlib.Repr()
    short.maxlevel = 4
    short.maxlist = short.maxtuple = short.maxdict = short.maxset = 20
    short.maxstring = short.maxlong = short.maxother = 2 * longest
    try:
        text = short.repr(value)
    except ValueError:  # integers of thousands of digits
        text = f'a very large {type(value).__name__}'
    return text if len(text) <= longest else f'{text[:longest - 3]}...'


def is_integer(value: Any) -> bool:
    """Whether a value is an integer; booleans are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float can hold.

    NumPy's numbers count, booleans do not.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def check_integer(name: str,
                  value: Any,
                  least: Optional[int] = None,
                  most: Optional[int] = None) -> int:
    """Checks that a value is an integer in a range, both ends included.

    Args:
        name: of the field, for the message.
        value: of the field.
        least, most: ends of the range; ``None`` for no end.

    Raises:
        InputError: for anything else.
    """
    if not is_integer(value) or least is not None and value < least or \
            most is not None and value > most:
        raise InputError(f'{name}={shown(value)}: expected an integer'
                         f'{_range(least, most)}')
    return value


def check_number(name: str,
                 value: Any,
                 least: Optional[float] = None,
                 most: Optional[float] = None,
                 above: Optional[float] = None,
                 below: Optional[float] = None) -> float:
    """Checks that a value is a finite number in a range.

    Args:
        name: of the field, for the message.
        value: of the field.
        least, most: ends that belong to the range.
        above, below: ends that do not.

    Raises:
        InputError: for anything else, including NaN and infinity.
    """
    if not is_number(value) or least is not None and value < least or \
            most is not None and value > most or \
            above is not None and value <= above or \
            below is not None and value >= below:
        raise InputError(f'{name}={shown(value)}: expected a finite number'
                         f'{_range(least, most, above, below)}')
    return value


def check_boolean(name: str, value: Any) -> bool:
    """Checks that a value is True or False.

    Raises:
        InputError: for anything else.
    """
    if not isinstance(value, bool):
        raise InputError(f'{name}={shown(value)}: expected True or False')
    return value


def check_choice(name: str, value: Any, choices: Collection[Any]) -> Any:
    """Checks that a value is one of several.

    Raises:
        InputError: for anything else.
    """
    # 1 == True and 1 == 1.0, so types are compared as well
    if not any(
            type(value) is type(choice) and value == choice
            for choice in choices):
        raise InputError(f'{name}={shown(value)}: expected one of '
                         f'{", ".join(map(repr, choices))}')
    return value


def check_text(name: str, value: Any, longest: int = LONGEST_NAME) -> str:
    """Checks that a value is text that prints on one line, not too long.

    Raises:
        InputError: for anything else, including text with control characters.
    """
    if not isinstance(value, str) or not value.isprintable() or \
            len(value) > longest:
        raise InputError(f'{name}={shown(value)}: expected a printable text '
                         f'of at most {longest} characters')
    return value


def check_keys(given: Iterable[str], expected: Iterable[str],
               where: str) -> None:
    """Refuses keys that nobody reads.

    Raises:
        InputError: it names the key, the nearest expected one and all of them.
    """
    names = sorted(expected)
    for key in given:
        if key not in names:
            near = difflib.get_close_matches(str(key)[:100], names, 1)
            hint = f' (did you mean {near[0]!r}?)' if near else ''
            raise InputError(f'{where}: unknown key {shown(key)}{hint}; '
                             f'expected one of {", ".join(names)}')


class Fields:
    """A JSON object whose fields are checked as they are read.

    Args:
        value: the object.
        where: the file, and the object's path in it.

    Raises:
        InputError: if the value is not an object.
    """

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise InputError(f'{where}: an object was expected, found '
                             f'{type(value).__name__}')
        self.value = value
        self.where = where

    def get(self, key: str, *kinds: type) -> Any:
        """A field of one of several types; ``float`` is any finite number.

        Raises:
            InputError: if it is missing or of another type.
        """
        if key not in self.value:
            raise InputError(f'{self.where}: field {key!r} is missing')
        found = self.value[key]
        for kind in kinds:
            if kind is float:
                if is_number(found):
                    return float(found)
            elif isinstance(
                    found,
                    kind) and not (kind is int and isinstance(found, bool)):
                return found
        names = {
            float: 'a finite number',
            int: 'an integer',
            str: 'a string',
            dict: 'an object',
            list: 'a list',
            type(None): 'null'
        }
        raise self.wrong(key, ' or '.join(names[kind] for kind in kinds))

    def text(self, key: str, longest: int = LONGEST_NAME) -> str:
        """A field of printable text."""
        return check_text(f'{self.where}: {key}', self.get(key, str), longest)

    def fields(self, key: str) -> 'Fields':
        """A field that is an object."""
        return Fields(self.get(key, dict), f'{self.where}: {key}')

    def texts(self, key: str) -> Dict[str, str]:
        """A field that is an object: printable texts by name."""
        found = self.get(key, dict)
        for name, value in found.items():
            check_text(f'{self.where}: {key}: a name', name)
            check_text(f'{self.where}: {key}.{name}', value)
        return found

    def wrong(self, key: str, expected: str) -> InputError:
        """The error for a field whose value is not as expected."""
        try:
            value = json.dumps(self.value[key])
        except ValueError:  # integers of thousands of digits
            value = 'a very large number'
        value = value if len(value) <= 80 else value[:77] + '...'
        return InputError(f'{self.where}: {key}={value}: expected {expected}')


def _range(least: Optional[float],
           most: Optional[float],
           above: Optional[float] = None,
           below: Optional[float] = None) -> str:
    """A range in words; empty if it has no ends."""
    parts = [
        f'{words} {end!r}'
        for words, end in (('of at least', least), ('above', above),
                           ('of at most', most), ('below', below))
        if end is not None
    ]
    text = ' and '.join(parts).replace('and of at', 'and at')
    return f' {text}' if text else ''
