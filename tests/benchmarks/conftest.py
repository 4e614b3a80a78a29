"""Running the scripts of benchmarks/."""

import importlib
import sys

import pytest

from ..conftest import ROOT


@pytest.fixture(scope='session')
def script():
    """Imports a script of benchmarks/ by its name, as Python starts it: with
    its folder on the path."""
    sys.path.insert(0, str(ROOT / 'benchmarks'))
    yield importlib.import_module
    sys.path.remove(str(ROOT / 'benchmarks'))


@pytest.fixture
def run_script(script, monkeypatch, capsys):
    """Runs a script with arguments, in the checkout, and returns what it
    prints."""

    def run(name, *arguments):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        script(name).main()
        return capsys.readouterr().out

    return run
