import json
import os
import re

import numpy as np
import pytest

from pss.engine.runner.hits_journal import Hits, HitsJournal
from pss.errors import InputError
from pss.structures import Subnet


def measurements(num=5):
    """Measurements of several subnets and stretches of images."""
    rng = np.random.default_rng(0)
    return [
        Hits(
            Subnet(8 + i, (4, 2 * i + 2)), bool(i % 2), 10 * i,
            rng.random(7 + i) < 0.5) for i in range(num)
    ]


def same(found, wanted):
    """Whether two lists of measurements are the same."""
    return len(found) == len(wanted) and all(
        one[:3] == two[:3] and one.hits.dtype == bool
        and np.array_equal(one.hits, two.hits)
        for one, two in zip(found, wanted))


@pytest.fixture
def written(tmp_path):
    """The path of a journal of five measurements."""
    path = tmp_path / 'search.jsonl'
    journal = HitsJournal(path, 'a')
    assert journal.open() == []
    journal.add(measurements()[:2])
    journal.add(measurements()[2:])
    return path


def test_measurements_come_back(written):
    """Oracle: what was added, however often the journal is opened."""
    for _ in range(2):
        assert same(HitsJournal(written, 'a').open(), measurements())


def test_cut_anywhere(written):
    """Oracle: the measurements whose lines are complete up to their last
    bracket; what is added then follows them."""
    content = written.read_bytes()
    ends = [i for i, byte in enumerate(content) if byte == ord('\n')]
    for length in range(len(content)):
        written.write_bytes(content[:length])
        journal = HitsJournal(written, 'a')
        kept = max(sum(end <= length for end in ends) - 1, 0)
        assert same(journal.open(), measurements()[:kept]), length
        if length % 50 == 0:
            journal.add(measurements()[kept:])
            assert written.read_bytes() == content


def test_another_identity_begins_anew(written):
    """Oracle: a journal without measurements, of the other identity."""
    assert HitsJournal(written, 'b').open() == []
    assert len(written.read_text().splitlines()) == 1
    assert HitsJournal(written, 'a').open() == []


@pytest.mark.parametrize('line, text, words', [
    (1, '{', 'line 1'),
    (3, '', 'line 3'),
    (3, 'x', 'line 3'),
    (3, '[' * 200, 'line 3'),
    (3, '5', 'line 3 .*object'),
    (3, {}, "line 3 .*'images' is missing"),
    (3, dict(images=0), 'line 3 .*images=0'),
    (3, dict(images=8), None),
    (3, dict(images=9), 'line 3 .*hits of 1 bytes: expected those of 9'),
    (3, dict(images='8'), 'line 3 .*images="8"'),
    (3, dict(hits='x'), 'line 3'),
    (3, dict(hits=5), 'line 3 .*hits=5'),
    (3, dict(hits=''), 'line 3 .*hits of 0 bytes'),
    (3, dict(final=1), 'line 3 .*final=1'),
    (3, dict(first=-1), 'line 3 .*first=-1'),
    (3, dict(subnet=3), 'line 3 .*subnet=3'),
    (3, dict(subnet=dict(resolution=8)), 'line 3 .*widths'),
    (6, dict(first=None), 'line 6 .*first=null'),
])
def test_damage(written, line, text, words):
    """Oracle: the file, the line and what is wrong with it; the file stays as
    it is. Only an incomplete last line is no damage."""
    lines = written.read_text().splitlines()
    if isinstance(text, dict):
        row = json.loads(lines[line - 1])
        text = json.dumps(dict(row, **text) if text else {})
    lines[line - 1] = text
    written.write_text('\n'.join(lines) + '\n')
    journal = HitsJournal(written, 'a')
    if words is None:
        assert len(journal.open()) == 5
        return
    before = written.read_bytes()
    with pytest.raises(InputError) as error:
        journal.open()
    message = str(error.value)
    assert message.startswith(f'{written}: damaged in ')
    assert message.endswith('remove the file to search anew')
    assert re.search(words, message), message
    assert written.read_bytes() == before


@pytest.mark.parametrize('kind', ['folder', 'absent', 'binary', 'full'])
def test_files_that_cannot_be_used(tmp_path, kind):
    """Oracle: an error that names the file."""
    path = tmp_path / 'search.jsonl'
    if kind == 'folder':
        path.mkdir()
    elif kind == 'absent':
        path = tmp_path / 'file' / 'search.jsonl'
        path.parent.write_text('no folder')
    elif kind == 'binary':
        path.write_bytes(b'\xff\xfe\n\x00')
    journal = HitsJournal(path, 'a')
    if kind == 'full':  # opened, but then there is no space left
        journal.open()
        path.unlink()
        os.symlink('/dev/full', path)
        with pytest.raises(InputError, match=f'{path}: cannot be written'):
            journal.add(measurements())
        return
    with pytest.raises(InputError, match=str(path)):
        journal.open()
