"""How tools start: arguments come before the imports that take seconds."""

import argparse
import json
import runpy
import subprocess
import sys

import pytest

from pss.deploy.exporter import FORMATS
from pss.profiling.profiler import DTYPES

from ..paths import ROOT

TOOLS = sorted(
    str(path.relative_to(ROOT / 'tools'))
    for path in (ROOT / 'tools').rglob('*.py'))
SLOW = {'pss', 'torch', 'torchvision', 'mmcv', 'mmpretrain', 'matplotlib'}
# prints each command line's exit status, and what is imported by then
CODE = """
import json, runpy, sys
for words in json.loads(sys.argv[1]):
    sys.argv = words
    try:
        runpy.run_path(words[0], run_name='__main__')
    except SystemExit as end:
        print(json.dumps([end.code, sorted(set(sys.modules))]), file=sys.stderr)
    else:
        raise AssertionError(words)
"""


def ends_of(*lines):
    """Runs tools one after another in a new process.

    Returns:
        For each, its exit status and what it has imported of ``SLOW``.
    """
    done = subprocess.run([sys.executable, '-c', CODE,
                           json.dumps(lines)],
                          cwd=ROOT / 'tools',
                          capture_output=True,
                          text=True,
                          check=True)
    found = [
        json.loads(line) for line in done.stderr.splitlines()
        if line.startswith('[')
    ]
    assert len(found) == len(lines)
    return [(code, SLOW & set(modules)) for code, modules in found]


def test_help_imports_nothing_slow():
    """Oracle: the modules of a process that prints the help of every tool."""
    assert ends_of(*([tool, '--help'] for tool in TOOLS)) == \
        [(0, set())] * len(TOOLS)


def test_bad_arguments_import_nothing_slow():
    """Oracle: argparse's status, and the modules of the process."""
    lines = [[tool, *words] for tool in ('train.py', 'test.py')
             for words in ([], ['--nothing'], ['a', 'b', '--launcher', 'ssh'],
                           ['a', 'b', '--cfg-options', 'a..b=1'],
                           ['a', 'b', '--cfg-options', 'a=[1,(2'])]
    assert ends_of(*lines) == [(2, set())] * len(lines)


@pytest.mark.parametrize('tool, option, choices',
                         [('build_latency_table.py', 'dtype', DTYPES),
                          ('deployment/export_subnet.py', 'format', FORMATS)])
def test_choices(tool, option, choices, monkeypatch):
    """Oracle: the names that the package accepts, which a parser repeats, since
    importing them would take seconds."""
    parse_args = runpy.run_path(str(ROOT / 'tools' / tool))['parse_args']
    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args',
                        lambda self: self)
    found = {action.dest: action.choices for action in parse_args()._actions}
    assert found[option] == list(choices)
