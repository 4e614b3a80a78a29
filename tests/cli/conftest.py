"""Shared by the tests of tools: running a function as a tool."""

import logging

import pytest

from pss.cli import run


@pytest.fixture
def end(capsys, monkeypatch, tmp_path):
    """Runs a function as a tool; returns its exit status and its messages."""
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    monkeypatch.setattr(logging, 'raiseExceptions', True)

    def end(main):
        with pytest.raises(SystemExit) as info:
            run(main)
        captured = capsys.readouterr()
        assert 'Traceback' not in captured.err + captured.out
        return info.value.code, captured.err

    return end


def fail(error):
    """A function that raises an error."""

    def main():
        raise error

    return main
