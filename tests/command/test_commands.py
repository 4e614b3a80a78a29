"""The subcommands that are tools."""

import os
import re
import subprocess
import sys

from pss_command.commands import TOOLS, summary

from ..paths import ROOT

# sourced by the others
NO_COMMANDS = {'launching.sh'}


def test_that_every_tool_is_a_command():
    """Oracle: the files in tools/."""
    files = [
        path.relative_to(ROOT / 'tools').as_posix()
        for path in (ROOT / 'tools').rglob('*') if path.suffix in ('.py', '.sh')
    ]
    assert sorted(TOOLS.values()) == sorted(set(files) - NO_COMMANDS)


def test_summaries():
    """Oracle: a sentence on one line, as in docstrings; without markup."""
    for command in TOOLS:
        line = summary(command)
        assert line.endswith('.') and '`' not in line, (command, line)
        assert len(line) <= 80 and line[0].isupper(), (command, line)


def run(*words, cwd):
    """Runs the command; returns its status and its output."""
    done = subprocess.run(
        [sys.executable, '-m', 'pss_command', *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_tool(tmp_path):
    """Oracle: the tool's own output, for a config of the package in a folder
    without one; and its usage, under the command's name."""
    code, out = run(
        'space', 'pss_mbv2_fashion_mnist', '--out', 'space.json', cwd=tmp_path)
    assert code == 0, out
    assert 'subnets: 1.9e+04' in out
    assert (tmp_path / 'space.json').is_file()
    code, out = run('space', cwd=tmp_path)
    assert code == 2
    assert 'usage: pss space [-h]' in out and 'config' in out.splitlines()[-1]


def test_a_launcher(tmp_path):
    """Oracle: the script's own complaint."""
    code, out = run('dist-train', 'pss_mbv2_imagenet', cwd=tmp_path)
    assert code == 2
    assert out.startswith('error: CONFIG and PROCESSES are needed\n')


def test_missing_packages(tmp_path):
    """Oracle: one line that names what to install, in an environment without
    any package."""
    done = subprocess.run(
        [sys.executable, '-S', '-m', 'pss_command', 'train', 'x'],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        cwd=tmp_path)
    assert done.returncode == 2
    line, = done.stderr.splitlines()
    assert line.startswith('pss: error: train: the package ')
    assert 'expected torch, torchvision, mmengine' in line


def test_documentation():
    """Oracle: docs/installing.md, whose table names each command once, and each
    tool that is not of the same name."""
    text = (ROOT / 'docs/installing.md').read_text()
    rows = [line for line in text.splitlines() if line.startswith('| `')]
    named = re.findall('`([a-z-]+)`',
                       ' '.join(row.split('|')[1] for row in rows))
    assert sorted(named) == sorted(TOOLS)


def test_errors_of_a_tool(tmp_path):
    """Oracle: status 2 and one line that names the config nearest to a
    misspelt one."""
    code, out = run('train', 'pss_mvb2_imagenet', cwd=tmp_path)
    assert code == 2
    assert out.splitlines()[-1] == (
        'error: config pss_mvb2_imagenet: no such file, nor a config of the '
        'package; the nearest is pss_mbv2_imagenet')
