"""Checks of a whole config."""

import pytest

from pss.cli import verify_config
from pss.errors import InputError


def test_supernets_are_not_compiled(tiny_config):
    """Oracle: what is legal stands in the message."""
    tiny_config.compile = True
    with pytest.raises(InputError, match='compile=True.*export_subnet'):
        verify_config(tiny_config)
