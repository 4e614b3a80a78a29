"""What is measured of a server."""

import json

import pytest


@pytest.fixture
def bench(script):
    """The script's module."""
    return script('serving')


def test_summaries(bench):
    """Oracle: by hand, of ten requests each that were answered after 0.3 s,
    refused and lost."""
    found = [
        bench.Answer(0., 300., 200, [dict(subnet='a', label=3)], 0),
        bench.Answer(0., 300., 503, [], 1),
        bench.Answer(0., 300., 0, [], 2, 'OSError')
    ] * 10
    rows = bench.summary(found, 1e4, dict(a=80.), [3, 0, 0], 1.)
    assert (rows['requests'], rows['lost']) == (30, 10)
    assert rows['problems'] == dict(OSError=10)
    assert rows['in_time'] == rows['refused'] == pytest.approx(33.33)
    assert rows['accuracy'] == 80 and rows['labelled'] == 100
    assert rows['p50'] == 300 and rows['goodput'] == 10
    assert bench.summary(found, 100., dict(a=80.), None, 1.)['in_time'] == 0


def test_how_much_slower_batches_were(bench):
    """Oracle: by hand: a batch of two images that took 30 ms instead of 15,
    and one of one image as expected: 40 ms instead of 25."""

    def answer(batch, *times):
        images = [
            dict(subnet='a', batch=batch, network_ms=time) for time in times
        ]
        return bench.Answer(0., 1., 200, images, 0)

    grids = dict(a={'1': 10., '3': 20.})
    answers = [answer(2, 30.), answer(2, 30.), answer(1, 10.)]
    assert bench.slowness(answers, grids) == pytest.approx(40 / 25)
    assert bench.slowness(
        [answer(2, 30., 30.), answer(1, 10.)], grids) == pytest.approx(40 / 25)
    assert bench.slowness([bench.Answer(0., 1., 503, [], 0)], grids) is None


def test_how_much_slower_batches_were_when(bench):
    """Oracle: by hand: a phase that begins after 16 s: requests of its first
    and third quarter of a second, one that was sent at its very end, and one
    that was refused."""

    def answer(sent, status, *times):
        images = [dict(subnet='a', batch=1, network_ms=time) for time in times]
        return bench.Answer(sent, 1., status, images, 0)

    answers = [
        answer(16.1, 200, 20.),
        answer(16.24, 200, 40.),
        answer(16.3, 503),
        answer(16.5, 200, 15.),
        answer(17., 200, 25.)
    ]
    assert bench.sliced_slowness(answers, dict(a={'1': 10.}), 16.,
                                 1.) == [3., None, 1.5, 2.5]


def test_the_tool(run_script, bank, tmp_path):
    """Oracle: a row for each policy and phase, of about as many requests as the
    rate says, most of them answered; the plot is there."""
    pytest.importorskip('litserve')
    out, plot = tmp_path / 'serving.json', tmp_path / 'serving.png'
    run_script('serving', bank, '--runs', 1, '--seconds', 1, '--capacity', 20,
               '--rates', 1, '--policies', 'adaptive', '--slo-ms', 5000,
               '--side', 24, '--out', out, '--plot', plot)
    row, = json.loads(out.read_text())['rows']
    assert (row['policy'], row['phase'], row['rate']) == ('adaptive', 0, 1)
    assert 5 <= row['requests'] <= 40 and row['in_time'] > 50
    assert 0.5 < row['slower'] < 100
    assert len(row['slices']) == 4 and any(row['slices'])
    assert plot.stat().st_size > 0
