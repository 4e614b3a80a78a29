"""Device banks: their networks, their size, what is refused."""

import json
import os
import shutil

import numpy as np
import pytest
import torch

from pss.apis import DeviceExporter
from pss.deploy import read_bank, write_bank
from pss.deploy.exporter import Exporter
from pss.deploy.onnx_folding import fold_norms
from pss.deploy.quantisation import quantise
from pss.errors import InputError
from pss.runtime import AdaptiveSession, read_device_bank

from ..building import NETWORKS, random_bank


@pytest.fixture(scope='module')
def device_bank(tmp_path_factory):
    """A supernet, its bank, and the device bank's folder."""
    model, bank = random_bank(2)
    folder = tmp_path_factory.mktemp('device') / 'bank'
    return model, bank, folder, DeviceExporter(bank).export(folder)


@pytest.mark.parametrize('name', NETWORKS)
def test_outputs_equal_the_supernets(name, tmp_path):
    """Oracle: the switched supernet."""
    model, bank = random_bank(0 if name == 'r50' else 1, **NETWORKS[name])
    done = DeviceExporter(bank).export(tmp_path / 'bank')
    assert [row.kept for row in done] == list(bank.kept)
    net = AdaptiveSession(tmp_path / 'bank')
    images = torch.rand(3, *bank.input_shape)
    for kept in bank.kept:
        model.switch_to(kept.subnet, bank.statistics[kept.subnet])
        net.switch(kept.name)
        with torch.no_grad():
            wanted = model(images).numpy()
        found = net.logits(images.numpy())
        np.testing.assert_allclose(
            found, wanted, rtol=0, atol=1e-4 * max(1,
                                                   np.abs(wanted).max()))


def test_size(device_bank, tmp_path):
    """Oracle: the largest subnet's plain file holds the weights once; each
    subnet adds three bytes for a factor and a bias, and the graph."""
    _, bank, folder, done = device_bank
    record = Exporter(bank).export(bank.kept[-1], 'onnx', tmp_path)
    largest = os.path.getsize(tmp_path / record['file'])
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 1.02 * largest + 15e3 * len(done)
    for row in done:
        channels = sum(mean.numel()
                       for mean, _ in bank.statistics[row.kept.subnet].values())
        assert 6 * channels < row.size < 6 * channels + 8e3


def test_index(device_bank):
    """Oracle: the bank's own fields."""
    _, bank, folder, _ = device_bank
    found = read_device_bank(folder)
    for kept, wanted in zip(found.kept, bank.kept):
        for field in ('name', 'costs', 'held_out_accuracy', 'test_accuracy',
                      'resource', 'level', 'standard_error'):
            assert getattr(kept, field) == getattr(wanted, field)
        assert kept.subnet == (wanted.subnet.resolution, wanted.subnet.widths)
    assert (found.resources, found.metric, found.classes, found.input_shape) \
        == (bank.resources, bank.metric, bank.classes, bank.input_shape)
    steps = found.preprocessing['steps']
    assert [step['type'] for step in steps] == ['ResizeEdge', 'CenterCrop']
    assert steps[0] == dict(
        type='ResizeEdge',
        scale=28,
        edge='short',
        backend='pillow',
        interpolation='bilinear')


def test_half_precision_halves_the_weights(device_bank, tmp_path):
    """Oracle: the sizes, and the float32 bank's scores."""
    _, bank, folder, _ = device_bank
    DeviceExporter(bank, 'fp16').export(tmp_path / 'half')
    sizes = [
        os.path.getsize(path / 'weights.bin')
        for path in (tmp_path / 'half', folder)
    ]
    assert sizes[0] <= 0.51 * sizes[1]
    images = np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3), np.uint8)
    one, other = (
        AdaptiveSession(path).predict(images)
        for path in (tmp_path / 'half', folder))
    for a, b in zip(one, other):
        assert np.abs(a['pred_scores'] - b['pred_scores']).max() < 0.01


def test_int8_shares_integers(tmp_path):
    """Oracle: the same model quantised by ONNX Runtime alone, with integers of
    its own. Rows that a subnet cuts have coarser steps, so both may differ from
    the float network, but not much more."""
    import onnxruntime
    model, bank = random_bank(1)
    for norm in model.norms.values():  # some factors are negative
        norm.weight.data[::3] *= -1
    bank.weights.update({
        f'{name}.weight': norm.weight.detach().clone()
        for name, norm in model.norms.items()
    })
    calibration = list(
        torch.randint(256, (16, *bank.input_shape), dtype=torch.uint8))
    exporter = DeviceExporter(bank, 'int8', calibration=calibration)
    exporter.export(tmp_path / 'int8')
    DeviceExporter(bank).export(tmp_path / 'float')
    size = os.path.getsize(tmp_path / 'int8/weights.bin')
    assert size < 0.27 * os.path.getsize(tmp_path / 'float/weights.bin')
    images = exporter.calibration[:4].numpy()
    for kept in read_device_bank(tmp_path / 'int8').kept:
        ours, exact = (
            onnxruntime.InferenceSession(str(tmp_path / part / kept.file)).run(
                None, dict(images=images))[0] for part in ('int8', 'float'))
        subnet = next(k.subnet for k in bank.kept if k.name == kept.name)
        alone = quantise(
            fold_norms(exporter._onnx(subnet)).model,
            [exporter.calibration.numpy()])
        theirs = onnxruntime.InferenceSession(alone.SerializeToString()).run(
            None, dict(images=images))[0]
        spread = np.abs(exact).max()
        assert 0 < np.abs(ours - exact).max() < 0.15 * spread
        assert np.abs(ours - exact).mean() < \
            2 * np.abs(theirs - exact).mean() + 0.01 * spread


def test_accuracy_before_and_after(tmp_path):
    """Oracle: the definition, with labels that the supernet itself gives."""
    _, bank = random_bank(0)
    exporter = DeviceExporter(bank, 'fp16')
    with pytest.raises(InputError, match='the bank names no test images'):
        exporter.label(10)
    images = torch.randn(60, *bank.input_shape)
    largest = bank.kept[-1]
    exporter.network.switch(largest)
    labels = exporter.network(images).argmax(1)
    labels[:6] += 1
    from pss.deploy.labelled_images import Labelled
    exporter.labelled = Labelled(list(images.split(20)), labels)
    done = exporter.export(tmp_path / 'bank')
    assert done[-1].before == pytest.approx(90)
    assert done[-1].after == pytest.approx(90, abs=2)


def test_a_wrong_graph_is_not_kept(device_bank, tmp_path, monkeypatch):
    """Oracle: the former device bank is still there, byte for byte, and no
    temporary folder."""
    _, bank, folder, _ = device_bank
    copy = shutil.copytree(folder, tmp_path / 'bank')
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    exporter = DeviceExporter(bank)
    # the first statistics are changed after the graphs were made
    monkeypatch.setattr(
        exporter.network, 'switch',
        lambda kept: exporter.network.model.switch_to(bank.kept[0].subnet))
    with pytest.raises(InputError, match='not written: .*differ by'):
        exporter.export(copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ['bank']


@pytest.mark.parametrize('step, words', [
    (dict(type='Resize', scale=24, interpolation='area'), "'area'"),
    (dict(type='ResizeEdge', scale=24, interpolation='bicubic'), "'bicubic'"),
])
def test_steps_that_no_device_reproduces(step, words, tmp_path):
    """Oracle: the message names the step's argument."""
    _, bank = random_bank(0)
    bank.pipeline.insert(1, step)
    with pytest.raises(InputError, match=f'pipeline.1..interpolation={words}'):
        DeviceExporter(bank)


def test_folders_of_others_stay(device_bank, tmp_path):
    """Oracle: the message, and what is there."""
    _, bank, _, _ = device_bank
    (tmp_path / 'mine.txt').write_text('x')
    with pytest.raises(InputError, match='something other than a bank'):
        DeviceExporter(bank).export(tmp_path)
    write_bank(bank, tmp_path / 'bank')
    with pytest.raises(InputError, match='something other than a bank'):
        DeviceExporter(bank).export(tmp_path / 'bank')
    read_bank(tmp_path / 'bank')
    folder = tmp_path / 'json'
    folder.mkdir()
    (folder / 'bank.json').write_text(json.dumps(dict(format='pss-bank')))
    with pytest.raises(InputError, match='not the index of a bank'):
        DeviceExporter(bank).export(folder)
