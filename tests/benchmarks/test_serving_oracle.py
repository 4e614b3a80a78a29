"""How far a real server gets on the way to an oracle."""

import json

import numpy as np
import pytest

from pss.errors import InputError


@pytest.fixture
def bench(script):
    """The script's module."""
    return script('serving_oracle')


def report(bench, rates, in_time, accuracies, images=1, fast=10., slower=1.):
    """Of a bank of two subnets, of which the better one takes 100 ms."""
    times = bench.arrivals(5., 8., 0, rates)
    numbers = np.bincount((times // 8).astype(int), minlength=len(rates))
    return dict(
        slo_ms=500.,
        seconds=8.,
        capacity=5.,
        rates=rates,
        images=images,
        subnets=[
            dict(
                held_out_accuracy=accuracy,
                used=True,
                latency_ms={
                    '1': ms,
                    '2': 2 * ms,
                    '4': 4 * ms
                }) for accuracy, ms in ((70., fast), (80., 100.))
        ],
        rows=[
            dict(
                run=0,
                policy='adaptive',
                phase=phase,
                rate=rate,
                requests=int(numbers[phase]),
                in_time=in_time[phase],
                slower=slower,
                accuracy=accuracies[phase]) for phase, rate in enumerate(rates)
        ])


def test_way(bench, run_script, tmp_path):
    """Oracle: by hand: little traffic leaves time for the better subnet
    always, of which 76 is 60 % of the way from 70."""
    given = report(bench, [0.1, 0.1], [100., 50.], [76., 80.])
    first, second, both = bench.compare(given)
    assert (first['oracle'], first['oracle_in_time'], first['way']) == (80, 100,
                                                                        60)
    assert second['way'] == 100 and second['in_time'] == 50
    numbers = [row['requests'] for row in given['rows']]
    weights = np.array([1., 0.5]) * numbers
    assert both['rate'] is None
    assert both['way'] == pytest.approx(
        10 * np.average([6., 10.], weights=weights), abs=0.06)
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(given))
    assert '60' in run_script('serving_oracle', path, '--out', path)
    assert json.loads(path.read_text())['oracle'] == [first, second, both]


def test_several_images_in_a_request(bench):
    """Oracle: two images take twice as long: one request of two images in the
    largest batch but one."""
    given = report(bench, [0.1], [100.], [76.], images=2)
    grid = bench.request_grid(given['subnets'], 2)
    assert grid.latencies_ms[1][1:] == [200., 400.]
    with pytest.raises(InputError, match='images=5: expected at most 4'):
        bench.request_grid(given['subnets'], 5)


@pytest.mark.parametrize('slower,loaded', [(1., 80.), (None, 80.), (5.1, 70.)])
def test_batches_that_take_longer(bench, slower, loaded):
    """Oracle: by hand: if batches take 5.1 times what was measured, the better
    subnet is never in time, and the other one always."""
    found = bench.compare(report(bench, [0.1], [100.], [76.], slower=slower))[0]
    assert (found['oracle'], found['way']) == (80, 60)
    assert found['loaded'] == loaded and found['loaded_in_time'] == 100
    assert found['loaded_way'] == (60 if loaded == 80 else None)
    assert found['manageable'] == 100


def test_what_the_fastest_subnet_manages(bench):
    """Oracle: by hand: if its batches take 40 times what was measured, it
    answers at most 2.5 of 15 requests a second; hardly fewer, since there is
    one that is new enough at three of four ends of a batch."""
    given = report(bench, [3.], [16.], [70.], slower=40.)
    busy = bench.compare(given)[0]
    number = given['rows'][0]['requests']
    most = 100 * 2.5 * 8 / number
    assert 0.75 * most < busy['manageable'] < 1.05 * most
    assert busy['loaded_in_time'] >= busy['manageable']


def test_moments_in_which_batches_take_longer(bench):
    """Oracle: by hand: in the second half of the phase batches take 40 times
    what was measured, so even the fastest subnet, 400 ms for a request, has at
    most eleven of them in time there, and three that are in a batch with the
    last one of the first half, in which all are."""
    given = report(bench, [3.], [60.], [70.])
    given['rows'][0]['slices'] = [1.] * 15 + [None] + [40.] * 16
    found = bench.compare(given)[0]
    times = bench.arrivals(5., 8., 0, [3.])
    first, each = 100 * (times < 4).mean(), 100 / len(times)
    for name in ('loaded_in_time', 'manageable'):
        assert first + 5 * each < found[name] < first + 14.1 * each
    assert found['oracle_in_time'] == 100


def test_a_report_of_other_traffic(bench):
    """Oracle: the run, and the numbers of requests."""
    given = report(bench, [0.1, 0.2], [100., 100.], [76., 80.])
    given['rows'][1]['requests'] += 1
    with pytest.raises(InputError, match=r'run=0: .* expected .*capacity=5'):
        bench.compare(given)
