import pytest

from pss.errors import InputError, printable


@pytest.mark.parametrize('text, expected', [('a\x1b[31mb', 'a\\x1b[31mb'),
                                            ('a\nb\tc', 'a\\nb\\tc'),
                                            ('\u202edlrow', '\\u202edlrow'),
                                            ('\udcff', '\\udcff'),
                                            ('é ü 字', 'é ü 字')])
def test_messages_are_one_line(text, expected):
    """Oracle: the escapes of Python's string literals, by hand."""
    assert printable(text) == expected
    assert str(InputError(text)) == expected


def test_messages_from_processes_that_load_data():
    """Oracle: the message itself; around it what torch's ExceptionWrapper
    writes."""
    text = ('Caught InputError in DataLoader worker process 0.\n'
            'Original Traceback (most recent call last):\n  File "a.py", line '
            '1, in b\n    c()\npss.runtime.errors.InputError: a.png: damaged\n')
    assert str(InputError(text)) == 'a.png: damaged'
