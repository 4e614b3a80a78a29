"""The versions that the matrix of tests covers."""

import ast
import re
from itertools import combinations, product

from ..paths import ROOT


def literals():
    """The constants of noxfile.py, without importing nox."""
    tree = ast.parse((ROOT / 'noxfile.py').read_text())
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
    }


FOUND = literals()


def possible(row):
    """Whether values can be together: torch 2.1 was built for Python up to 3.11
    and numpy 1, the forks need 2.3, and numpy 1 was built up to Python 3.12."""
    return not ('2.1.2' in row and {'3.12', '3.13', '2', 'onedl'} & set(row)
                or {'3.13', '1'} <= set(row))


def test_pairs():
    """Oracle: all pairs of values in two columns, but for impossible ones."""
    rows = FOUND['ROWS']
    columns = [sorted({row[i] for row in rows}) for i in range(4)]
    assert columns == [['3.10', '3.11', '3.12', '3.13'],
                       sorted(FOUND['TORCHVISION']), ['1', '2'],
                       sorted(FOUND['MM'])]
    for i, j in combinations(range(4), 2):
        wanted = {
            pair
            for pair in product(columns[i], columns[j]) if possible(pair)
        }
        assert {(row[i], row[j]) for row in rows} == wanted
    assert all(map(possible, rows))


def test_pins():
    """Oracle: requirements/, whose versions `make test` runs with."""
    pins = dict(
        re.findall(r'^([\w-]+)(?:\[\w+\])?==(\S+)$', text)[0]
        for path in (ROOT / 'requirements').glob('*.txt')
        for text in path.read_text().splitlines() if '==' in text)
    assert FOUND['TORCHVISION'][pins['torch']] == pins['torchvision']
    assert set(FOUND['MM']['openmmlab']) == {
        f'{name}=={pins[name]}'
        for name in ('mmengine', 'mmcv-lite', 'mmpretrain')
    }


def test_claims():
    """Oracle: setup.cfg: the Pythons it names, and the ends of torch's range.
    """
    text = (ROOT / 'setup.cfg').read_text()
    pythons = re.findall(r'Programming Language :: Python :: (3\.\d+)', text)
    assert pythons == sorted({row[0] for row in FOUND['ROWS']})
    least, below = re.search(r'torch>=2\.(\d+),<2\.(\d+)', text).groups()
    minors = sorted({int(row[1].split('.')[1]) for row in FOUND['ROWS']})
    assert (minors[0], minors[-1]) == (int(least), int(below) - 1)


def test_sessions():
    """Oracle: docs/versions.md lists each session once."""
    text = (ROOT / 'docs/versions.md').read_text()
    listed = re.findall(r'^\| (3\.\d+) \| (2\.[\d.]+) \| (\d) \| (\w+) \|',
                        text, re.M)
    assert listed == FOUND['ROWS']
