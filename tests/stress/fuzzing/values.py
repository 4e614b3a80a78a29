"""Bad values, and good ones made bad in one place."""

import json
import math
from typing import Any, Sequence, Tuple

import numpy as np

from tests.stress.corrupt import WRONG, exchanged, places

LONG = 'a' * 5000
TEXTS = ('', ' ', 'text', '\x1b[31mred', 'two\nlines', '\x00', '\u202e', 'ﬀ',
         '１２', '../../user/notes.txt', '/', '/dev/full', '.', '~', '{0}',
         '{{ fileDirname }}', '{{_base_.model}}', '$HOME', '%s%n', '\ud800',
         "'); import os; ('", '*', 'nan', '1e999', LONG, 'ran')
NUMBERS = (-1, 0, 1, 2, 3, 7, 255, 256, 2**31, 2**63, 2**64, -2**63, 10**30,
           10**400, 0.5, -0.0, 1e-320, 1e308, -1e308, math.nan, math.inf,
           -math.inf, True, False, 2.0)
NESTED: Any = []
for _ in range(200):
    NESTED = [NESTED]
WRONG_JSON = tuple(w for w in WRONG if not (isinstance(w, dict) and 1 in w))
SHAPES = ([], {}, [None], [[]], [1, 'a'], {
    'a': {}
}, {
    'type': 'text'
}, {
    'type': None
}, {
    'type': []
}, [0] * 300, NESTED)
# words for --option WORD, or for a line of a file
WORDS = ('', ' ', 'x', 'nan', 'inf', '-inf', '1e999', '1' + 400 * '0', '-1',
         '0', '1', '0.5', '1e-320', '-1e308', 'True', 'None', '[]', '{}', '1,2',
         '１２', '٣', '\x1b[31mred\x1b[0m', 'two\nlines', '\x07', '\u202e', 'ﬀ',
         '\udcff', '--', '-', LONG, '../x', '%s', '{0}', '*', '1_000', '0x10',
         ' 1 ', '9223372036854775808')


def pick(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    """One of the choices, not converted by numpy."""
    return choices[int(rng.integers(len(choices)))]


def bad_value(rng: np.random.Generator, old: Any = None) -> Any:
    """A value that is likely to be wrong in place of ``old``."""
    kind = rng.random()
    number = isinstance(old, (int, float)) and not isinstance(old, bool)
    if number and kind < 0.5:
        return pick(rng, NUMBERS)
    if number and kind < 0.6:
        return pick(
            rng, [-old, old * 2, old + 1, old - 1,
                  float(old),
                  str(old), [old]])
    if isinstance(old, (list, tuple)) and kind < 0.4:
        old = list(old)
        return pick(rng, [
            old[:-1], old + old, old[::-1], old + [0], old + [None], [old], {
                str(i): v
                for i, v in enumerate(old)
            }
        ])
    if isinstance(old, str) and kind < 0.5:
        return pick(rng, TEXTS)
    return pick(rng, pick(rng, (WRONG_JSON, TEXTS, NUMBERS, SHAPES)))


def shown(value: Any, longest: int = 60) -> str:
    """A value as a report shows it, in one line."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):
        text = f'a {type(value).__name__} that has no text'
    return text if len(text) <= longest else f'{text[:longest - 3]}...'


def change(
    value: Any,
    rng: np.random.Generator,
    types: Sequence[Any] = (),
    keys: Sequence[Tuple[str, Any]] = ()
) -> Tuple[Any, str]:
    """A copy with one thing changed, removed or added, and what it was.

    Each entry at the top level is equally likely, whatever its size.

    Args:
        value: a dict.
        rng: makes the choices.
        types: values for keys named ``type``.
        keys: keys and values to add to objects.
    """
    everything = list(places(value))
    tops = sorted({path[0] for path in everything}, key=str)
    top = pick(rng, tops)
    path = pick(rng, [p for p in everything if p[0] == top])
    old = value
    for key in path:
        old = old[key]
    where = '.'.join(map(str, path))
    kind = rng.random()
    if path[-1] == 'type' and types and kind < 0.8:
        new = pick(rng, types)
    elif kind < 0.12:
        return exchanged(value, path, None, True), f'{where} taken out'
    elif kind < 0.3 and isinstance(old, dict):
        key, inner = pick(rng, [
            *keys, *((t, 1) for t in TEXTS), ('unknown', None),
            ('_delete_', True), ('_scope_', 'pss')
        ])
        new = {**old, key: inner}
        where, kind = f'{where}.{shown(key)}', 2
        return exchanged(value, path, new), f'{where} = {shown(inner)} added'
    else:
        new = bad_value(rng, old)
    return exchanged(value, path, new), f'{where} = {shown(new)}'


def changed(value: Any, rng: np.random.Generator, times: int,
            *more) -> Tuple[Any, str]:
    """:func:`change` several times."""
    said = []
    for _ in range(times):
        if not isinstance(value, dict) or not value:
            break
        value, what = change(value, rng, *more)
        said.append(what)
    return value, '; '.join(said)


def literal(value: Any) -> str:
    """A value as a Python literal, also for numbers that repr cannot write."""
    if isinstance(value, dict):
        inner = ', '.join(f'{literal(k)}: {literal(v)}'
                          for k, v in value.items())
        return f'{{{inner}}}'
    if isinstance(value, (list, tuple)):
        inner = ', '.join(map(literal, value))
        return f'[{inner}]' if isinstance(value, list) else f'({inner}, )'
    if isinstance(value, float) and not math.isfinite(value):
        return f'float({str(value)!r})'
    if isinstance(value, int) and abs(value) > 10**300:
        return hex(value)  # Python refuses the text of long ones
    return ascii(value)


def json_of(value: Any) -> str:
    """A value as JSON, including numbers that JSON lacks."""
    return json.dumps(value)


def bad_json(rng: np.random.Generator) -> Tuple[bytes, str]:
    """The bytes of a JSON file that no reader can use, and what they are."""
    return pick(rng, [(b'', 'an empty file'), (b'\xff\xfe{}', 'not UTF-8'),
                      (b'[' * 100_000, 'deep lists'),
                      (b'{"a":' * 100_000, 'deep objects'),
                      (b'1' * 10_000, 'a number of 10,000 digits'),
                      (b'null', 'null'), (b'"text"', 'a text'),
                      (b'{}', 'an empty object'), (b'[]', 'an empty list'),
                      (b'NaN', 'NaN'), (b'{"a": 1,}', 'a comma'),
                      (b'\x00' * 1000, 'zeros'),
                      (b'\xef\xbb\xbf{}', 'a byte order mark'),
                      (b'{"a": 1, "a": 2}', 'a key twice'),
                      (b'[1e999]', 'infinity'),
                      (b'"\\ud800"', 'half a surrogate'),
                      (b'[{}]', 'an empty object'),
                      ('{"\u202e": 1}'.encode(), 'right to left'),
                      (b'\x80\x04N.', 'a pickle'),
                      (b'PK\x03\x04' + bytes(100), 'a zip')])
