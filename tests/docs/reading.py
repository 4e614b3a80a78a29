"""Code blocks of the documentation's pages."""

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

from ..paths import ROOT

PAGES = [
    ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md')), *sorted(
        (ROOT / 'docs' / 'contributing').glob('*.md')),
    ROOT / 'CONTRIBUTING.md', ROOT / 'runtime' / 'README.md'
]
BLOCK = re.compile(
    r'(?:^<!-- not run: (?P<reason>.*?) -->\n+)?'
    r'^```(?P<language>\w+)\n(?P<code>.*?)^```$', re.MULTILINE | re.DOTALL)
# a line such as "`my_net.py`:" or "Save this as `classify.py`:" before a block
NAMED = re.compile(r'`(\w+\.py)`[^\n]*:\n+\Z')


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        language: such as ``python``.
        code: its lines.
        line: number of its first line in the page.
        name: the file that the line before it names, if any.
        reason: why it is not run, if it is not.
    """
    language: str
    code: str
    line: int
    name: Optional[str]
    reason: Optional[str]


def blocks(page: Path, *languages: str) -> List[Block]:
    """The blocks of a page in some languages, in order."""
    text = page.read_text()
    return [
        Block(
            found['language'], found['code'],
            text.count('\n', 0, found.start('code')) + 1, named[1] if
            (named := NAMED.search(text[:found.start()])) else None,
            found['reason']) for found in BLOCK.finditer(text)
        if found['language'] in languages
    ]


def statements(code: str) -> Iterator[Tuple[ast.stmt, str]]:
    """The statements of a block, each with the comment that ends its last
    line."""
    comments = {
        token.start[0]: token.string.lstrip('# ')
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT
    }
    for statement in ast.parse(code).body:
        yield statement, comments.get(statement.end_lineno, '')


def promised(comment: str) -> Tuple[bool, Any]:
    """Whether a comment says what a statement gives, and that value.

    It does if it is a Python literal, or one followed by a colon.
    """
    for text in (comment, comment.split(': ')[0]):
        try:
            return True, ast.literal_eval(text)
        except (SyntaxError, ValueError):
            pass
    return False, None
