import json
import os
from collections import Counter

import pytest

from pss.errors import InputError
from pss.profiling.latency_building import build_table
from pss.resources import LatencyTable, reachable_blocks

from .conftest import Counting


def test_stopped_and_continued(model, tmp_path):
    """Oracle: over all runs together, every block is measured once per round;
    the table has all reachable blocks, and no other file is left."""
    path = tmp_path / 'tables' / 'cpu.json'
    blocks = reachable_blocks(model)
    total = Counter()
    for stop in (5, 20, 3):
        profiler = Counting(model)
        profiler.stop_after = stop
        with pytest.raises(KeyboardInterrupt):
            build_table(profiler, path, rounds=2)
        total += profiler.measured
        assert not path.exists()
        partial = path.with_name('cpu.json.partial')
        # killed in the middle of a line
        partial.write_text(partial.read_text() + '{"block_type": "MBV2')
    profiler = Counting(model)
    table = build_table(profiler, path, rounds=2)
    total += profiler.measured
    assert set(total) == set(blocks) and set(total.values()) == {2}
    assert sorted(p.name for p in path.parent.iterdir()) == [
        '.cpu.json.lock', 'cpu.json'
    ]
    assert list(table.timings) == list(blocks)
    assert all(t.runs and not t.interpolated for t in table.timings.values())
    content = json.loads(path.read_text())
    assert content['unit'] == 'microseconds' and content['threads'] == 1
    assert content['date'] and content['interpolation'] is None

    profiler = Counting(model)
    before = path.read_bytes()
    build_table(profiler, path, rounds=2)
    assert not profiler.measured and path.read_bytes() == before


def test_a_part_is_measured(model, tmp_path):
    """Oracle: as many blocks as requested; the file marks the interpolated
    ones, and a second run without a limit measures only those."""
    path = tmp_path / 'cpu.json'
    profiler = Counting(model)
    table = build_table(profiler, path, max_blocks=30, rounds=1)
    blocks = reachable_blocks(model)
    assert len(blocks) > 40
    assert profiler.measured.total() == 30
    said = json.loads(path.read_text())
    assert said['interpolation']['measured'] == 30
    assert said['interpolation']['interpolated'] == len(blocks) - 30
    assert said['interpolation']['mean_relative_error'] > 0
    marked = [b for b in said['blocks'] if b.get('interpolated')]
    assert len(marked) == len(blocks) - 30
    assert all(b['spread'] is None and b['runs'] == 0 for b in marked)
    assert set(table.timings) == set(blocks)

    more = Counting(model)
    table = build_table(more, path, rounds=1)
    assert set(more.measured) == set(blocks) - set(profiler.measured)
    assert not any(t.interpolated for t in table.timings.values())


@pytest.mark.parametrize('other, words', [
    (dict(batch_size=2), 'batch_size=1, now it is 2'),
    (dict(threads=2), 'threads=1, now it is 2'),
    (dict(dtype='bfloat16'), "dtype='float32', now it is 'bfloat16'"),
    (dict(backend='onnxruntime'), "backend='torch', now it is 'onnxruntime'"),
])
def test_other_conditions(model, tmp_path, other, words):
    """Oracle: both values in the message; table and journal are unchanged."""
    path = tmp_path / 'cpu.json'
    profiler = Counting(model)
    profiler.stop_after = 4
    with pytest.raises(KeyboardInterrupt):
        build_table(profiler, path, rounds=1)
    journal = path.with_name('cpu.json.partial')
    before = journal.read_bytes()
    with pytest.raises(InputError, match=words):
        build_table(Counting(model, **other), path, rounds=1)
    assert journal.read_bytes() == before
    build_table(Counting(model), path, max_blocks=10, rounds=1)
    before = path.read_bytes()
    with pytest.raises(InputError, match=words):
        build_table(Counting(model, **other), path, rounds=1)
    assert path.read_bytes() == before and not journal.exists()


def test_a_file_that_is_no_table_is_not_overwritten(model, tmp_path):
    """Oracle: the file is unchanged."""
    path = tmp_path / 'results.json'
    path.write_text('{"largest": 1}')
    with pytest.raises(InputError, match='not a latency table'):
        build_table(Counting(model), path)
    assert path.read_text() == '{"largest": 1}'
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        '.results.json.lock', 'results.json'
    ]


def test_one_builder_at_a_time(model, tmp_path):
    """Oracle: the table and the process in the message; nothing is measured or
    written, even under another name of the table."""
    path = tmp_path / 'cpu.json'
    (tmp_path / 'link.json').symlink_to('cpu.json')
    inside = []

    class Meanwhile(Counting):

        def measure(self, *args, **kwargs):
            if not inside:
                inside.append(True)
                for name in (path, tmp_path / 'link.json'):
                    other = Counting(model)
                    with pytest.raises(
                            InputError,
                            match='latency table .*cpu.'
                            f'json: in use by process {os.getpid()}'):
                        build_table(other, name, rounds=1)
                    assert not other.measured
            return super().measure(*args, **kwargs)

    table = build_table(Meanwhile(model), path, rounds=1)
    assert inside and LatencyTable.read(path).timings == table.timings
    with pytest.raises(InputError, match='partial: is a named pipe; .*remove'):
        os.mkfifo(tmp_path / 'new.json.partial')
        build_table(Counting(model), tmp_path / 'new.json', rounds=1)
