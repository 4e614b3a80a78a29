import builtins
import dataclasses
import json

import pytest
import torch

from pss.apis import export as export_module
from pss.apis import init_model, load_config, parse_budget
from pss.apis.export import Exporter
from pss.deploy import write_bank
from pss.errors import InputError

from ..conftest import NETWORKS, random_bank


def supernet_logits(model, bank, kept, images):
    model.switch_to(kept.subnet, bank.statistics[kept.subnet])
    with torch.no_grad():
        return model(images)


def record_of(path):
    return json.loads(path.with_name(path.name + '.json').read_text())


@pytest.mark.parametrize('backbone', [{}, *NETWORKS.values()],
                         ids=['small', *NETWORKS])
def test_onnx(tmp_path, backbone):
    """Oracle: the supernet's logits (1e-4) of full-size images, from the file
    in ONNX Runtime, at several batch sizes."""
    onnxruntime = pytest.importorskip('onnxruntime')
    onnx = pytest.importorskip('onnx')
    model, bank = random_bank(1, classes=('a', ) * 10, **backbone)
    kept = bank.kept[0]
    record = Exporter(bank).export(kept, 'onnx', tmp_path)
    path = tmp_path / 'smallest.onnx'
    assert record == record_of(path)
    session = onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider'])
    size = bank.input_shape[1]
    assert kept.subnet.resolution < size
    assert session.get_inputs()[0].shape == ['batch', 3, size, size]
    for num in (1, 5):
        images = torch.randn(num, *bank.input_shape)
        found = session.run(None, {'images': images.numpy()})[0]
        torch.testing.assert_close(
            torch.from_numpy(found),
            supernet_logits(model, bank, kept, images), atol=1e-4, rtol=1e-5)
    props = {p.key: p.value for p in onnx.load(str(path)).metadata_props}
    assert json.loads(props['record'])['preprocessing'] == \
        record['preprocessing']
    assert record['preprocessing']['data_preprocessor']['mean'] == \
        [120, 110, 100]


def test_torchscript_and_torch(tmp_path):
    """Oracle: the supernet's logits (1e-5) from the files, at another batch
    size than traced; the config builds what the checkpoint holds."""
    model, bank = random_bank()
    exporter = Exporter(bank)
    images = torch.randn(7, *bank.input_shape)
    for kept in bank.kept:
        wanted = supernet_logits(model, bank, kept, images)
        exporter.export(kept, 'torchscript', tmp_path)
        exporter.export(kept, 'torch', tmp_path)
        stem = kept.name.replace(' ', '_')
        loaded = torch.jit.load(str(tmp_path / f'{stem}.pt'))
        plain = init_model(load_config(tmp_path / f'{stem}.py'),
                           tmp_path / f'{stem}.pth')
        for network in (loaded, plain):
            with torch.no_grad():
                torch.testing.assert_close(network(images), wanted, atol=1e-5,
                                           rtol=0)
    assert not list(tmp_path.glob('*.tmp*'))


def test_a_difference_is_an_error(tmp_path, monkeypatch):
    """Oracle: a tolerance that nothing meets; then no file is there."""
    _, bank = random_bank(0)
    monkeypatch.setitem(export_module.TOLERANCES, 'onnx', -1.)
    with pytest.raises(InputError, match='not written: its logits differ'):
        Exporter(bank).export(bank.kept[0], 'onnx', tmp_path)
    assert not list(tmp_path.iterdir())


def test_real_images_are_needed(tmp_path):
    """Oracle: the argument that names some; a file does it."""
    import cv2
    import numpy as np
    _, bank = random_bank(0)
    bank = dataclasses.replace(bank, samples=torch.zeros(0, 0, 0, 0))
    write_bank(bank, tmp_path / 'bank')
    with pytest.raises(InputError, match='--images'):
        Exporter(bank)
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((40, 30, 3), np.uint8))
    assert Exporter(bank, [str(tmp_path / 'a.png')]).images['real'].shape == \
        (1, 3, 24, 24)


def test_missing_packages(tmp_path, monkeypatch):
    """Oracle: the command that installs them."""
    _, bank = random_bank(0)
    exporter = Exporter(bank)
    real = builtins.__import__

    def without(*names):
        def importing(name, *args, **kwargs):
            if name.split('.')[0] in names:
                raise ModuleNotFoundError(name, name=name)
            return real(name, *args, **kwargs)
        monkeypatch.setattr(builtins, '__import__', importing)

    without('onnxruntime')
    with pytest.raises(InputError, match='onnxruntime: pip install'):
        exporter.export(bank.kept[0], 'onnx', tmp_path)
    without('safetensors')
    with pytest.raises(InputError, match='pip install safetensors'):
        write_bank(bank, tmp_path / 'bank')


@pytest.mark.parametrize('words, wanted', [
    (['flops=60'], dict(flops=60)),
    (['flops=6.5', 'latency_cpu=20_000'], dict(flops=6.5, latency_cpu=20000)),
    (['flops=60', 'flops=60'], dict(flops=60)),
    (['flops'], 'NAME=NUMBER'), (['flops=x'], '--budget flops=x'),
    (['flops=60', 'flops=70'], 'flops=60 and flops=70 contradict'),
    (['flops=nan', 'flops=60'], 'contradict'),
])
def test_parse_budget(words, wanted):
    """Oracle: the limits, or what is wrong."""
    if isinstance(wanted, dict):
        assert parse_budget(words) == wanted
        return
    with pytest.raises(InputError, match=wanted):
        parse_budget(words)
