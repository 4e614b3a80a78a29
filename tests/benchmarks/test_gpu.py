"""The benchmark of training on a GPU; most of it runs on a CPU too."""

import json

import pytest
import torch

from ..building import TINY_RESNET, classifier_config
from ..training import batch

PLAIN = [
    'supernet', 'loop', 'three plain', 'largest alone', 'one process', 'graphs'
]


@pytest.fixture
def gpu(script):
    """The script's module."""
    return script('gpu')


def test_table(run_script, tmp_path):
    """Oracle: a row for each way, then those that are compiled; what a CPU
    cannot do has its error, what is left out says so; ratios by hand."""
    out = tmp_path / 'gpu.json'
    text = run_script('gpu', '--device', 'cpu', '--networks', 'mbv2',
                      '--precisions', 'float32', '--memory-formats',
                      'channels_last', '--batch-size', 2, '--compile', 'graphs',
                      '--out', out)
    found = json.loads(out.read_text())
    assert (found['device'], found['batch_size']) == ('cpu', 2)
    rows = found['rows']
    assert [row['way'] for row in rows] == PLAIN
    for row in rows[:-1]:
        assert row['error'] is None and row['peak_mib'] is None
        assert len(row['seconds']) == 3 and row['images_per_second'] > 0
    assert rows[-1]['error'] and rows[-1]['images_per_second'] is None
    assert f'{rows[0]["images_per_second"]:.1f} images/s' in text


def test_too_little_time(run_script, tmp_path):
    """Oracle: every row is left out, with the limit, which is no failure."""
    out = tmp_path / 'gpu.json'
    run_script('gpu', '--device', 'cpu', '--networks', 'mbv2', '--precisions',
               'tf32', '--memory-formats', 'contiguous', '--minutes', 0,
               '--out', out)
    rows = json.loads(out.read_text())['rows']
    assert [row['error'] for row in rows] == ['left out: over 0.0 minutes'] * 5


def test_table_of(gpu):
    """Oracle: by hand: the shipped iteration over the others."""
    rows = [
        dict(
            network='r50',
            precision='tf32',
            memory_format='contiguous',
            way=way,
            images_per_second=speed,
            peak_mib=peak)
        for way, speed, peak in zip(gpu.WAYS, (60., 80., 50., None,
                                               60.), (30., 30., 40., 20., 31.))
    ]
    line = gpu.table_of(rows).splitlines()[-1].split()
    assert line[:3] == ['r50', 'tf32', 'contiguous']
    # nothing is said of what failed
    assert line[3:] == ['60', '0.75', '1.2', '1', '0.75', '1.5']


def test_a_failure(gpu, run_script, tmp_path, monkeypatch):
    """Oracle: the error is in the row, the other ways are still measured, and
    the status says that one failed."""

    def broken(*_):
        raise RuntimeError('no such kernel\nand more')

    monkeypatch.setattr(gpu, 'WAYS', ('supernet', 'largest alone'))
    monkeypatch.setattr(gpu, 'shipped', broken)
    out = tmp_path / 'gpu.json'
    with pytest.raises(SystemExit, match='failed'):
        run_script('gpu', '--device', 'cpu', '--networks', 'mbv2',
                   '--precisions', 'float32', '--memory-formats',
                   'channels_last', '--batch-size', 1, '--out', out)
    first, other = json.loads(out.read_text())['rows']
    assert first['error'] == 'RuntimeError: no such kernel'
    assert other['error'] is None and other['images_per_second'] > 0


@pytest.fixture
def networks(gpu):
    """A small supernet whose batch norms have frozen statistics, as batch
    statistics would magnify rounding."""
    from pss.registry import MODELS
    torch.manual_seed(0)
    space = dict(resolutions=[16, 20, 24], divisor=2)
    config = classifier_config(
        **dict(TINY_RESNET, search_space=space, norm_eval=True))
    config['head']['in_channels'] = 16
    model = MODELS.build(config).train()
    space = model.search_space
    passes = [('largest', space.largest),
              ('sampled', space.decode(space.enumerate()[[40]])[0]),
              ('smallest', space.smallest)]
    return gpu.Networks(model, [gpu.Pass(*each) for each in passes], [])


def weights(gpu, networks, way, device, monkeypatch):
    """Those of the way's network after two iterations."""
    module = __import__('iterations')
    seen, sgd = [], module.sgd
    monkeypatch.setattr(module, 'sgd', lambda net: seen.append(net) or sgd(net))
    data = batch(4, size=24)
    labels = torch.cat([s.gt_label for s in data['data_samples']])
    data = gpu.Batch(data['inputs'].to(device), labels.to(device),
                     data['data_samples'])
    setting = gpu.Setting('tiny', 'float32', 'channels_last')
    with gpu.one_process(device, way == 'one process'):
        iteration = gpu.iteration_of(networks, setting, way, data)
        for _ in range(2):
            iteration(data)
        return [p.detach().cpu() for p in seen[0].parameters()]


@pytest.mark.parametrize('way', ['loop', 'one process'])
def test_ways_train_the_same(gpu, networks, way, device, exact, monkeypatch):
    """Oracle: the shipped iteration on a CPU; loops written by hand, and DDP of
    one process (NCCL on a GPU), end with the same weights."""
    before = [p.detach().clone() for p in networks.supernet.parameters()]
    wanted = weights(gpu, networks, 'supernet', 'cpu', monkeypatch)
    found = weights(gpu, networks, way, device, monkeypatch)
    assert any(not torch.equal(a, b) for a, b in zip(wanted, before))
    for one, other in zip(found, wanted):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize('way', ['graphs', 'default', 'reduce-overhead'])
def test_compiled_passes_train_the_same(gpu, networks, way, exact, monkeypatch):
    """Oracle: the loop that is not compiled, on a CPU."""
    wanted = weights(gpu, networks, 'loop', 'cpu', monkeypatch)
    found = weights(gpu, networks, way, 'cuda', monkeypatch)
    for one, other in zip(found, wanted):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
