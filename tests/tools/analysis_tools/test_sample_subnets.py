import json

import numpy as np
import pytest

from pss.resources import Latency, LatencyTable, Timing, reachable_blocks
from pss.structures import Subnet

from ...paths import ROOT
from ..conftest import DEMO, IMAGENET


def test_sample_subnets(call, tmp_path, imagenet_flops):
    """Oracle: the level's range; the same seed draws the same."""
    out = tmp_path / 'out.json'
    arguments = ('analysis_tools/sample_subnets.py', IMAGENET, '--level', 90,
                 '--num', 500, '--seed', 3, '--out', out)
    code, text = call(*arguments)
    assert code == 0 and 'draws a second' in text
    rows = json.loads(out.read_text())
    assert len(rows) == 500 and all(85 <= r['mflops'] < 95 for r in rows)
    subnets = [Subnet(r['resolution'], tuple(r['widths'])) for r in rows]
    assert np.array_equal(
        imagenet_flops(imagenet_flops.space.encode(subnets)),
        [r['mflops'] for r in rows])
    call(*arguments)
    assert json.loads(out.read_text()) == rows


@pytest.fixture(scope='module')
def latency_table(imagenet_model, tmp_path_factory):
    """A table for MobileNetV2 with times in proportion to the work."""
    path = tmp_path_factory.mktemp('table') / 'phone.json'
    header = dict(
        version=1,
        unit='microseconds',
        scale=1.,
        device='cpu',
        network=dict(type='SlimmableMobileNetV2'),
        batch_size=1)
    LatencyTable(
        header, {
            key: Timing(5. + key.in_size**2 * key.cin * key.cout / 1e4)
            for key in reachable_blocks(imagenet_model)
        }).write(path)
    return path


def test_sample_subnets_of_a_latency(call, tmp_path, imagenet_model,
                                     latency_table):
    """Oracle: the table's own cost; by path and by the config's name."""
    cost = Latency(str(latency_table)).table(imagenet_model)
    space = cost.space
    middle = float(np.median(cost(space.enumerate())))
    config = ROOT / 'configs' / 'pss_mbv2_imagenet_cpu_latency.py'
    for field, arguments in (
        ('latency_us', (IMAGENET, '--latency-table', latency_table)),
        ('latency_cpu', (config, '--resource', 'latency_cpu', '--cfg-options',
                         'default_hooks.pss_sampler.'
                         f'resources.latency_cpu.table={latency_table}'))):
        code, out = call('analysis_tools/sample_subnets.py', *arguments,
                         '--level', middle, '--step', middle / 20, '--num', 50,
                         '--out', tmp_path / 'drawn.json')
        assert code == 0, out
        rows = json.loads((tmp_path / 'drawn.json').read_text())
        codes = space.encode(
            [Subnet(r['resolution'], tuple(r['widths'])) for r in rows])
        assert [r[field] for r in rows] == cost(codes).tolist()
        assert all(abs(r[field] - middle) <= middle / 40 for r in rows)
        assert all(r['mflops'] > 69 for r in rows)


@pytest.mark.parametrize('arguments, words', [
    (('--resource', 'latency_gpu', '--level', '5'), 'latency_gpu is not in'),
    (('--latency-table', 'none.json', '--level', '5', '--step', '1'),
     'none.json: no such file'),
    (('--latency-table', '{table}', '--level', '5'), '--step is missing'),
    (('--latency-table', '{table}', '--level', '5', '--step', '1'),
     "level=5 of 'latency_us'"),
])
def test_bad_resources_end_in_one_line(call, tmp_path, latency_table, arguments,
                                       words):
    """Oracle: one line with the words, status 2, no file."""
    arguments = [a.format(table=latency_table) for a in arguments]
    code, out = call('analysis_tools/sample_subnets.py', IMAGENET, *arguments,
                     '--out', tmp_path / 'drawn.json')
    assert code == 2 and words in out, out
    assert not (tmp_path / 'drawn.json').exists()


def test_unreachable_level_ends_in_one_line(call, tmp_path):
    """Oracle: the published ends of the space in the message."""
    code, out = call('analysis_tools/sample_subnets.py', IMAGENET, '--level',
                     500, '--out', tmp_path / 'out.json')
    line = out.strip().splitlines()[-1]
    assert code == 2 and 'level=500' in line
    assert '69.1502 to 300.837' in line


@pytest.mark.parametrize(
    'arguments, words',
    [(('--level', 'nan'), '--level=nan: expected'),
     (('--level', '15', '--step', 'inf'), '--step=inf: expected'),
     (('--level', '15', '--step', '0'), '--step=0.0: expected')])
def test_sample_subnets_of_no_level(call, tmp_path, arguments, words):
    """Oracle: argument and value in the message; an endless step would make the
    whole space one level."""
    code, out = call('analysis_tools/sample_subnets.py', DEMO, *arguments,
                     '--out', tmp_path / 'subnets.json')
    assert code == 2 and words in out
    assert not list(tmp_path.iterdir())
