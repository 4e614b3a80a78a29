import math

import pytest

from pss.checks import (
    check_boolean,
    check_choice,
    check_integer,
    check_keys,
    check_number,
    check_text,
    shown,
)
from pss.errors import InputError


@pytest.mark.parametrize('check, good, bad', [
    (lambda v: check_integer('a', v, 1, 3), [1, 3],
     [0, 4, True, 1.0, '1', None, 10**5000]),
    (lambda v: check_number('a', v, least=0, below=1), [0, 0.5],
     [-1, 1, math.nan, math.inf, True, '0', 10**400, None]),
    (lambda v: check_number('a', v, above=0, most=2), [1e-300, 2
                                                       ], [0, 2.1, -math.inf]),
    (lambda v: check_boolean('a', v), [True, False], [0, 1, None, 'True']),
    (lambda v: check_choice('a', v, (1, 'x')), [1, 'x'], [True, 1.0, 'y', []]),
    (lambda v: check_text('a', v, 5), ['', 'ab c'],
     ['abcdef', '\x1b[2J', 'a\nb', b'a', 1]),
])
def test_checks(check, good, bad):
    """Oracle: valid values by hand; the message has the field, and is one line
    of printable text."""
    for value in good:
        assert check(value) is value
    for value in bad:
        with pytest.raises(InputError, match='^a=.*: expected ') as error:
            check(value)
        assert str(error.value).isprintable() and len(str(error.value)) < 200


def test_messages():
    """Oracle: written out by hand."""
    with pytest.raises(
            InputError,
            match='^a=7: expected an integer of at '
            'least 1 and at most 3$'):
        check_integer('a', 7, 1, 3)
    with pytest.raises(
            InputError,
            match='^a=0: expected a finite number '
            'above 0 and below 1$'):
        check_number('a', 0, above=0, below=1)
    assert shown('x' * 100) == "'" + 76 * 'x' + '...'


def test_unknown_keys():
    """Oracle: the key, the most similar one and all of them, by hand."""
    check_keys(['a', 'size'], ['size', 'a', 'b'], 'here')
    with pytest.raises(InputError) as error:
        check_keys(['a', 'sise'], ['size', 'a'], 'here')
    assert str(error.value) == ("here: unknown key 'sise' (did you mean "
                                "'size'?); expected one of a, size")
