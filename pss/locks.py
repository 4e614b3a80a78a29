"""Stands in for locks on files."""

from contextlib import contextmanager


@contextmanager
def locked(path, what):
    """Locks nothing yet."""
    yield
