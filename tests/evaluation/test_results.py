"""Results files, their table and their plots."""

import csv
import json

import pytest

from pss.errors import InputError
from pss.evaluation import (
    plot_results,
    read_results,
    results_table,
    write_csv,
    write_results,
)


def entry(mflops, top1, **more):
    return dict(
        subnet=dict(resolution=24, widths=[24, 16]),
        mflops=mflops,
        top1=top1,
        held_out_top1=top1 - 1,
        **more)


RESULTS = dict(
    largest=entry(20.5, 90.),
    smallest=entry(5.25, 80.),
    pools=[entry(9.5, 85., resource='flops', level=10., score=-0.4)])


def test_files(tmp_path):
    """Oracle: what was written, read by json and csv."""
    write_results(RESULTS, tmp_path / 'r.json')
    assert read_results(tmp_path / 'r.json') == RESULTS
    assert json.loads((tmp_path / 'r.json').read_text()) == RESULTS
    write_csv(RESULTS, tmp_path / 'r.csv')
    rows = list(csv.DictReader((tmp_path / 'r.csv').open()))
    assert [row['pool'] for row in rows] == ['smallest', 'flops 10', 'largest']
    assert rows[1]['mflops'] == '9.5' and rows[1]['widths'] == '24 16'


def test_table():
    """Oracle: each figure is in its row."""
    lines = results_table(RESULTS).splitlines()
    assert 'MFLOPs' in lines[0] and 'test top-1' in lines[0]
    assert lines[3].split()[:2] == ['flops', '10'] and '85.00' in lines[3]


def test_plot(tmp_path):
    """Oracle: the signature of a PNG file, also for two results."""
    plot_results({'a': RESULTS, 'b': RESULTS}, tmp_path / 'plot.png')
    assert (tmp_path / 'plot.png').read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'
    assert [p.name for p in tmp_path.iterdir()] == ['plot.png']
    with pytest.raises(InputError, match='plot.xyz'):
        plot_results({'a': RESULTS}, tmp_path / 'plot.xyz')


def test_several_resources(tmp_path):
    """Oracle: a column and a plot for each resource; its pools only."""
    results = dict(
        resources=dict(flops='MFLOPs', latency_phone='us'),
        largest=entry(20.5, 90., latency_phone=25_000.),
        smallest=entry(5.25, 80., latency_phone=12_000.),
        pools=[
            entry(9.5, 85., resource='flops', level=10., latency_phone=17_000.),
            entry(
                12.5,
                87.,
                resource='latency_phone',
                level=18_000.,
                latency_phone=17_900.)
        ])
    write_results(results, tmp_path / 'r.json')
    assert read_results(tmp_path / 'r.json') == results
    lines = results_table(results).splitlines()
    assert 'MFLOPs' in lines[0] and 'latency_phone (us)' in lines[0]
    assert '17900' in lines[4] and 'latency_phone 18000' in lines[4]
    for resource in results['resources']:
        plot_results({'a': results}, tmp_path / f'{resource}.png', resource)
        assert (tmp_path / f'{resource}.png').stat().st_size > 5000
    with pytest.raises(InputError, match="a: no costs in 'energy'"):
        plot_results({'a': results}, tmp_path / 'x.png', 'energy')
    del results['largest']['latency_phone']
    write_results(results, tmp_path / 'r.json')
    with pytest.raises(InputError, match='largest.latency_phone'):
        read_results(tmp_path / 'r.json')


@pytest.mark.parametrize('change, words', [
    (lambda r: r.update(resources=['flops']), 'resources='),
    (lambda r: r.pop('pools'), "'pools' is missing"),
    (lambda r: r['largest'].pop('top1'), 'largest.top1'),
    (lambda r: r['pools'][0].update(level='10'), r'pools\[0\].level'),
    (lambda r: r['pools'][0]['subnet'].update(width=1), "'width'"),
    (lambda r: r.update(pools=3), 'pools=3'),
    (lambda r: r.update(pools=[3]), r'pools\[0\]=3: expected an object'),
    (lambda r: r['smallest'].update(top1_se=-1.),
     'smallest.top1_se=-1.0: expected a number of at least 0'),
    (lambda r: r['pools'][0].update(held_out_top1_se='1'),
     r"pools\[0\].held_out_top1_se='1': expected a number"),
    (lambda r: r.update(evaluated={}), 'evaluated={}: expected a list'),
    (lambda r: r['evaluated'][1].pop('images'),
     r'evaluated\[1\].images is missing; expected an integer above 0'),
    (lambda r: r['evaluated'][0].update(expected_top1=None),
     r'evaluated\[0\].expected_top1=None: expected a number'),
    (lambda r: r['evaluated'][0].pop('mflops'), r'evaluated\[0\].mflops'),
    (lambda r: r['evaluated'][0].update(images=0),
     r'evaluated\[0\].images=0: expected an integer above 0'),
    (lambda r: r['evaluated'][0].update(held_out_top1_se=True),
     r'evaluated\[0\].held_out_top1_se=True: expected a number'),
    (lambda r: r['evaluated'][0].update(subnet=dict(widths=[1])),
     r"evaluated\[0\].subnet: field 'resolution'"),
])
def test_bad_results(tmp_path, change, words):
    """Oracle: the field in the message; without the change, none."""
    results = json.loads(json.dumps(RESULTS))
    candidate = entry(9., 85., images=500, held_out_top1_se=1.5)
    del candidate['top1']
    results['evaluated'] = [dict(candidate), dict(candidate)]
    write_results(results, tmp_path / 'r.json')
    assert read_results(tmp_path / 'r.json') == results
    change(results)
    write_results(results, tmp_path / 'r.json')
    with pytest.raises(InputError, match=words):
        read_results(tmp_path / 'r.json')
