import re

import pytest

from ..paths import ROOT

LINK = re.compile(r'\]\(([^)#\s]+)(?:#([\w-]+))?\)')
# Sphinx checks the links of docs/; these are read in the repository
FILES = [
    ROOT / name
    for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md',
                 'runtime/README.md', 'web/README.md')
]


def headings(path):
    """The anchors of a page's headings, as forges make them."""
    text = re.sub(r'^```.*?^```', '', path.read_text(), flags=re.M | re.S)
    found = re.findall(r'^#+ (.*)$', text, re.MULTILINE)
    return {
        re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-')
        for title in found
    }


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_local_links(path):
    """Oracle: the files and headings of the checkout."""
    for target, anchor in LINK.findall(path.read_text()):
        if '://' in target:
            continue
        there = path.parent / target
        assert there.exists(), target
        if anchor:
            assert anchor in headings(there), f'{target}#{anchor}'


def test_readme_is_short():
    """Oracle: 200 lines; what is longer is a page."""
    assert len((ROOT / 'README.md').read_text().splitlines()) <= 200
