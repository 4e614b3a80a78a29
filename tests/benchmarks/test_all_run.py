"""No script of benchmarks/ rots."""

import ast
from pathlib import Path

from ..paths import ROOT


def run_by_tests():
    """The scripts that a test here runs through ``run_script``."""
    calls = (
        node for path in Path(__file__).parent.glob('test_*.py')
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call))
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == 'run_script'
    }


def test_every_script_is_run():
    """Oracle: the files that run if Python starts them; the others are modules
    of theirs."""
    scripts = {
        path.stem
        for path in (ROOT / 'benchmarks').glob('*.py')
        if "__name__ == '__main__'" in path.read_text()
    }
    assert scripts and run_by_tests() == scripts
