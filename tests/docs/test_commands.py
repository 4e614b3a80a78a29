"""Checks the commands in the pages against the tools: ``make test-docs``."""

import argparse
import re
import runpy
import shlex
import sys

import pytest

from ..paths import ROOT
from .reading import PAGES, blocks

pytestmark = pytest.mark.docs

PROGRAM = re.compile(r'(?:tools|benchmarks|demo|tests)/[\w/]+\.(?:py|sh)')


def commands():
    """The commands of all blocks, each with its place."""
    for page in PAGES:
        for block in blocks(page, 'bash', 'console'):
            code = block.code.replace('\\\n', ' ')
            for line in code.splitlines():
                if block.language == 'console':
                    if not line.startswith('$ '):
                        continue
                    line = line[2:]
                yield f'{page.name}:{block.line}', line.strip()


def with_programs():
    return [
        pytest.param(line, id=f'{place} {PROGRAM.search(line)[0]}')
        for place, line in commands() if PROGRAM.search(line)
    ]


class Parser(BaseException):
    """Carries the parser that a program builds past all that it catches."""


def parser_of(program, monkeypatch):
    """The parser of a program, which is not run any further."""

    def stop(self, *args, **kwargs):
        raise Parser(self)

    monkeypatch.setattr(sys, 'argv', [str(program)])
    monkeypatch.setattr(sys, 'path', [str(program.parent), *sys.path])
    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, 'parse_args', stop)
        patch.setattr(argparse.ArgumentParser, 'parse_known_args', stop)
        with pytest.raises(Parser) as found:
            runpy.run_path(str(program), run_name='__main__')
    return found.value.args[0]


@pytest.mark.parametrize('line', with_programs())
def test_programs(line, monkeypatch):
    """Oracle: the program's own parser, and the checkout's files."""
    line = line.split('| ')[0].split(' && ')[0]
    words = shlex.split(line, comments=True)
    at = next(i for i, word in enumerate(words) if PROGRAM.fullmatch(word))
    program, arguments = ROOT / words[at], words[at + 1:]
    assert program.is_file()
    for word in arguments:
        if word.startswith('configs/'):
            assert (ROOT / word).is_file(), word
    if program.suffix == '.py':
        arguments = [word for word in arguments if word not in ('...', ';')]
        parser_of(program, monkeypatch).parse_args(arguments)


def test_make_targets():
    """Oracle: the targets of the Makefile."""
    targets = set(
        re.findall(r'^([\w-]+(?: [\w-]+)*):', (ROOT / 'Makefile').read_text(),
                   re.MULTILINE))
    known = {name for group in targets for name in group.split()}
    found = {
        word
        for _, line in commands() if line.startswith('make ')
        for word in shlex.split(line, comments=True)[1:]
        if '=' not in word and not word.startswith('.')
    }
    assert found and found <= known
