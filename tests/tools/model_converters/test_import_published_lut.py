"""Turning published latency tables into ours."""

import collections
import json
import os
import pickle
import sys

import pytest

from ...paths import FIXTURES
from ..conftest import IMAGENET

LUT = 'model_converters/import_published_lut.py'


def published_table(**changes):
    """A small table in the published layout; changes can make it wrong."""
    Cfg = collections.namedtuple(
        'BlockCfg',
        ('block_type in_size cin cout cmid kernel_size stride padding'))
    Cfg.__module__ = '__main__'
    fields = dict(
        block_type='MBV2Block',
        in_size=56,
        cin=24,
        cout=24,
        cmid=144,
        kernel_size=None,
        stride=1,
        padding=None)
    time = changes.pop('time', 700.5)
    return {
        Cfg('Linear', 1, 1280, 1000, None, None, None, None): 250.,
        Cfg(**{
            **fields,
            **changes
        }): time
    }


@pytest.fixture
def pickled(monkeypatch, tmp_path):
    """Pickles a table as the published program does."""

    def write(table):
        main = sys.modules['__main__']
        for key in table if isinstance(table, dict) else ():
            if type(key).__name__ == 'BlockCfg':
                monkeypatch.setattr(main, 'BlockCfg', type(key), raising=False)
        path = tmp_path / 'lut.pkl'
        path.write_bytes(pickle.dumps(table))
        return path

    return write


def test_published_latencies(call, reference_costs, tmp_path):
    """Oracle: the latencies that the published program computes for 64 subnets,
    to 1e-6, through the tool that prices subnets."""
    code, out = call(LUT, FIXTURES / 'published_lut_mbv2_cpu.pkl', '--out',
                     tmp_path / 'cpu.json', '--device', 'cpu')
    assert code == 0 and '37390 blocks' in out, out
    rows = reference_costs['mobilenet_v2']
    (tmp_path / 'subnets.json').write_text(
        json.dumps([{
            k: row[k]
            for k in ('resolution', 'widths')
        } for row in rows]))
    code, out = call('analysis_tools/subnet_cost.py', IMAGENET,
                     tmp_path / 'subnets.json', '--latency-table',
                     tmp_path / 'cpu.json', '--out', tmp_path / 'costs.json')
    assert code == 0, out
    priced = json.loads((tmp_path / 'costs.json').read_text())
    for mine, theirs in zip(priced, rows):
        assert mine['latency_us'] == pytest.approx(
            theirs['latency_cpu_us'], rel=1e-6)
        assert mine['mflops'] == theirs['mflops']
    # the tool reads what it wrote
    code, out = call('analysis_tools/subnet_cost.py', IMAGENET,
                     tmp_path / 'costs.json', '--out', tmp_path / 'again.json')
    assert code == 0, out


def test_layout_of_mobilenet_v1_tables(call, pickled, tmp_path):
    """Oracle: the rows that were pickled."""
    source = pickled(
        published_table(
            block_type='MBV1Block',
            cmid=None,
            cin=32,
            cout=64,
            in_size=112,
            time=1200))
    code, out = call(LUT, source, '--out', tmp_path / 'v1.json')
    assert code == 0, out
    table = json.loads((tmp_path / 'v1.json').read_text())
    assert table['network'] == {'type': 'SlimmableMobileNetV1'}
    row = table['blocks'][1]
    assert (row['block_type'], row['in_size'], row['cin'], row['cmid'],
            row['cout'], row['stride'], row['shortcut'],
            row['latency']) == ('MBV1Block', 112, 32, None, 64, 1, None, 1200.)


@pytest.mark.parametrize('content, words', [
    (published_table(time=-3.), '-3.0 is not a finite number'),
    (published_table(time=float('inf')), 'inf is not'),
    (published_table(time='fast'), "'fast' is not"),
    (published_table(time=None), 'None is not'),
    (published_table(block_type='Conv3d'), "block_type='Conv3d'"),
    (published_table(cin='24'), "cin='24'"),
    (published_table(in_size=None), 'in_size=None'),
    ({
        'a': 1.
    }, "key 'a' is not"),
    ([1, 2], 'found list'),
    ({}, 'found dict'),
])
def test_bad_published_tables(call, pickled, tmp_path, content, words):
    """Oracle: one line that names what is wrong; an existing file stays."""
    out_path = tmp_path / 'out.json'
    out_path.write_text('before')
    code, out = call(LUT, pickled(content), '--out', out_path)
    assert code == 2 and words in out, out
    assert len(out.strip().splitlines()) == 1
    assert out_path.read_text() == 'before'


class Attack:
    """Would create a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


@pytest.mark.parametrize('place', ['whole', 'key', 'value'])
def test_nothing_of_a_table_is_executed(call, tmp_path, place):
    """Oracle: the file that the attack would create."""
    attack = Attack(tmp_path / 'trace')
    content = dict(
        whole=attack, key={(1, attack): 2.}, value={'a': attack})[place]
    (tmp_path / 'lut.pkl').write_bytes(pickle.dumps(content))
    code, out = call(LUT, tmp_path / 'lut.pkl', '--out', tmp_path / 'out.json')
    assert code == 2 and 'refers to' in out and 'nothing of it was' in out
    assert [p.name for p in tmp_path.iterdir()] == ['lut.pkl']


@pytest.mark.parametrize(
    'text',
    [
        b'',
        b'garbage',
        b'\x80\x04',
        pickle.dumps([1, 2, 3])[:-3],
        b'c__main__\nBlockCfg\n(tR.',
        b'cos\nsystem\n(S"true"\ntR.',
        b'c__main__\nother\n.',
        b'cbuiltins\neval\n.',
        b'}r\xff\xff\xff\x7f.',  # would take 16 GB
        b'c__main__\nBlockCfg\nN}S"_fields"\nNs\x86b.',  # changes the class
    ])
def test_damaged_published_tables(call, tmp_path, text):
    """Oracle: one line that names the file, no output."""
    (tmp_path / 'lut.pkl').write_bytes(text)
    code, out = call(LUT, tmp_path / 'lut.pkl', '--out', tmp_path / 'out.json')
    assert code == 2 and 'lut.pkl' in out, out
    assert len(out.strip().splitlines()) == 1
    assert not (tmp_path / 'out.json').exists()


def test_a_bad_batch_size(call, pickled, tmp_path):
    """Oracle: option, value and range in one line; nothing written."""
    code, out = call(LUT, pickled(published_table()), '--batch-size', '-5',
                     '--out', tmp_path / 'out.json')
    assert code == 2 and '--batch-size=-5: expected an integer of at least 1' \
        in out
    assert not (tmp_path / 'out.json').exists()


def test_a_published_table_that_is_a_pipe(call, tmp_path):
    """Oracle: what it is, in one line, at once."""
    os.mkfifo(tmp_path / 'lut.pkl')
    code, out = call(LUT, tmp_path / 'lut.pkl', '--out', tmp_path / 'out.json')
    assert code == 2 and 'lut.pkl: is a named pipe' in out
