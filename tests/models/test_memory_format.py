"""How images and weights lie in memory."""

import pytest
import torch

from pss.errors import InputError
from pss.models import memory_format


@pytest.mark.parametrize('given, device, last', [
    (True, 'cuda', True),
    (False, 'cpu', False),
    ('auto', 'cpu', True),
    ('auto', 'cuda', False),
    ('auto', 'mps', False),
])
def test_which_it_is(monkeypatch, given, device, last):
    """Oracle: what was given; or a CPU."""
    monkeypatch.setattr(memory_format, 'get_device', lambda: device)
    assert memory_format.memory_format_of(given) == (
        torch.channels_last if last else torch.contiguous_format)


@pytest.mark.parametrize('given', ['yes', 1, None])
def test_bad_values(given):
    """Oracle: the field and the value."""
    with pytest.raises(InputError, match=f'channels_last={given!r}'):
        memory_format.memory_format_of(given)
