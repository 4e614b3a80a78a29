import pytest

from pss.errors import InputError
from pss.profiling.latency_building import build_table

from .conftest import Counting


@pytest.mark.parametrize('line, text, words', [
    (0, '[]', 'line 1'),
    (2, '{"block_type": "Conv2d"}', 'line 3'),
    (2, '{', 'line 3'),
])
def test_damaged_journals(model, tmp_path, line, text, words):
    """Oracle: the line in the message; the file is unchanged."""
    path = tmp_path / 'cpu.json'
    profiler = Counting(model)
    profiler.stop_after = 6
    with pytest.raises(KeyboardInterrupt):
        build_table(profiler, path, rounds=1)
    journal = path.with_name('cpu.json.partial')
    lines = journal.read_text().splitlines()
    lines[line] = text
    journal.write_text('\n'.join(lines))
    before = journal.read_bytes()
    with pytest.raises(InputError, match=words):
        build_table(Counting(model), path, rounds=1)
    assert journal.read_bytes() == before
