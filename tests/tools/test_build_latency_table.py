"""Measuring with ``tools/build_latency_table.py``."""

import json

import pytest

from pss.apis import init_model
from pss.resources import Latency
from pss.structures import Subnet

from ..paths import ROOT
from .conftest import DEMO, options


def test_build_latency_table_and_train(call, tiny_fashion_mnist, tmp_path):
    """Oracle: the demo of latencies on tiny data, as its make target runs it:
    table, training and testing; costs in the results equal the table's."""
    config = ROOT / 'configs' / 'pss_mbv2_fashion_mnist_latency.py'
    table = tmp_path / 'cpu.json'
    code, out = call('build_latency_table.py', config, '--batch-size', 32,
                     '--max-blocks', 20, '--rounds', 1, '--min-run-time', 0.001,
                     '--verify', 4, '--out', table)
    assert code == 0, out
    assert '222 blocks are interpolated' in out and 'rank correlation' in out
    more = [
        f'default_hooks.pss_sampler.resources.latency_cpu.table={table}',
        'default_hooks.pss_sampler.budgets.latency_cpu.pools=2'
    ]
    arguments = [*options(tiny_fashion_mnist, False, 27), *more]
    code, out = call('train.py', config, '--work-dir', tmp_path, *arguments)
    assert code == 0, out
    assert '2 pools for latency_cpu:' in out and '5 pools for flops:' in out
    code, out = call('test.py', config, tmp_path / 'epoch_1.pth', '--work-dir',
                     tmp_path, '--out', tmp_path / 'r.json', *arguments)
    assert code == 0, out
    results = json.loads((tmp_path / 'r.json').read_text())
    assert results['resources'] == {'flops': 'MFLOPs', 'latency_cpu': 'us'}
    cost = Latency(str(table)).table(init_model(config))
    rows = [results['largest'], results['smallest'], *results['pools']]
    for row in rows:
        subnet = Subnet.from_dict(row['subnet'])
        codes = cost.space.encode([subnet])
        assert row['latency_cpu'] == pytest.approx(cost(codes)[0])
    for name in ('r.csv', 'r.png', 'r_latency_cpu.png'):
        assert (tmp_path / name).stat().st_size > 100
    assert 'latency_cpu (us)' in out


@pytest.mark.parametrize('arguments, words', [
    (('--batch-size', '0'), '--batch-size=0'),
    (('--threads', '0'), '--threads=0'),
    (('--max-blocks', '-1'), '--max-blocks=-1'),
    (('--min-run-time', '0'), '--min-run-time=0'),
    (('--verify', '2'), '--verify=2'),
    (('--rounds', '0'), '--rounds=0'),
])
def test_bad_arguments_of_build_latency_table(call, tmp_path, arguments, words):
    """Oracle: one line that names the argument and the value."""
    code, out = call('build_latency_table.py', DEMO, '--out',
                     tmp_path / 'table.json', *arguments)
    assert code == 2 and words in out, out
    assert len(out.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
