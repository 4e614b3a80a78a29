import json
import re

import pytest

from ..paths import ROOT

PAGE = ROOT / 'docs' / 'results.md'
CONFIGS = sorted(
    path.relative_to(ROOT / 'configs').with_suffix('').as_posix()
    for folder in ('configs', 'configs/detection')
    for path in (ROOT / folder).glob('*.py'))


def rows():
    """The cells of all rows whose first cell names a config."""
    lines = [
        line.strip('|').split('|') for line in PAGE.read_text().splitlines()
        if line.startswith('| `')
    ]
    return [[cell.strip() for cell in line] for line in lines]


def test_each_config_has_one_row():
    """Oracle: the files in configs/ and configs/detection/."""
    assert sorted(row[0].strip('`') for row in rows()) == CONFIGS


@pytest.mark.parametrize('row', rows(), ids=lambda row: row[0].strip('`'))
def test_rows(row):
    """Oracle: the columns of the page. The command trains that config, and a
    config that was not run has no figures."""
    config, accuracy, *published, machine, time, memory, saved, command = row
    name = config.strip('`')
    assert len(published) <= 1
    assert f'configs/{name}.py' in command or command.startswith('`make demo')
    if machine == 'not run':
        assert [accuracy, time, memory, saved] == ['-'] * 4


def test_published_figures():
    """Oracle: benchmarks/results/published, whose smallest and largest subnets
    are in the column of the paper's figures; all other rows have none."""
    published = {}
    for path in (ROOT / 'benchmarks' / 'results' / 'published').iterdir():
        record = json.loads(path.read_text())
        published[path.stem.replace('pssnet', 'pss')] = [
            number for end in ('smallest', 'largest')
            for number in (record[end]['top1'], record[end]['mflops'])
        ]
    found = {
        row[0].strip('`'): [float(n) for n in re.findall(r'[\d.]+', row[2])]
        for row in rows() if len(row) == 8 and row[2] != '-'
    }
    assert found == published
