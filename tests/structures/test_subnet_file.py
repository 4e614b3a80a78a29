import json
import os

import pytest

from pss.errors import InputError
from pss.files import json_text, write_json
from pss.structures import SearchSpace, Subnet, Width, read_subnets

SPACE = SearchSpace([Width.of(32), Width.of(64)], [128, 224])


def test_texts_with_lists_in_them_stay():
    """Oracle: what JSON reads back; lists of numbers are on one line."""
    value = {'a': '[1   2]', 'b\\"[3 ,  4]': [1, 2], 'c': 'x"[5   6]'}
    text = json_text(value)
    assert json.loads(text) == value and '[1, 2]' in text


def test_round_trip_with_costs(tmp_path):
    """Oracle: what was written, without the costs."""
    path = tmp_path / 'subnets.json'
    write_json([{**Subnet(128, (24, 48)).as_dict(), 'mflops': 1.5}], path)
    assert read_subnets(path, SPACE) == [Subnet(128, (24, 48))]


@pytest.mark.parametrize('text, words', [
    ('[{"resolution": 128, "widths": [24, 48]}, {"resolution": 9, '
     '"widths": [24, 48]}]', ['subnet 1', 'resolution=9', '128']),
    ('[{"resolution": 128, "widths": [24], "x": 1}]', ["'x'", 'expected']),
    ('[{"resolution": 128, "widths": [24]}]', ['1 entries', '2 widths']),
    ('{"resolution": 128}', ['list', 'dict']),
    ('[{"resolution": 1', ['not a JSON file']),
    ('[' * 100_000, ['not a JSON file']),
])
def test_bad_files(tmp_path, text, words):
    """Oracle: file, entry and field in the message."""
    path = tmp_path / 'subnets.json'
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_subnets(path, SPACE)
    assert all(w in str(error.value) for w in [str(path), *words])


def test_missing_file(tmp_path):
    """Oracle: the operating system's reason."""
    with pytest.raises(InputError, match='no such file'):
        read_subnets(tmp_path / 'none.json', SPACE)


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    """Oracle: the previous file."""
    path = tmp_path / 'a.json'
    write_json([1], path)

    def full_disk(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(type(path), 'write_text', full_disk)
    with pytest.raises(InputError, match='No space left'):
        write_json([2], path)
    assert json.loads(path.read_text()) == [1]
    assert os.listdir(tmp_path) == ['a.json']
