"""Messages for exceptions; tests/cli/test_running.py has further ones."""

import pytest

from pss.config.failures import is_out_of_memory, said


@pytest.mark.parametrize('error, words', [
    (SystemExit(3), 'SystemExit: exit status 3'),
    (PermissionError(13, 'Permission denied',
                     b'a\xff.py'), 'a\\udcff.py: Permission denied'),
    (KeyError('X is not in the model registry. Please check whether ...'),
     'KeyError: X is not in the model registry'),
    (ValueError('\n\n  the first words\nothers'), 'ValueError: the first words')
])
def test_words(error, words):
    """Oracle: one printable line, by hand."""
    assert said(error) == words


def test_out_of_memory():
    """Oracle: torch's own message on a CPU; other errors do not count."""
    assert is_out_of_memory(
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not is_out_of_memory(RuntimeError('shapes differ'))
    assert not is_out_of_memory(ValueError("can't allocate memory"))
