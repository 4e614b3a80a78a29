import builtins
import dataclasses
import json
import resource

import numpy as np
import pytest
import torch

from pss.apis import init_model, load_config
from pss.deploy import exporter as export_module
from pss.deploy import write_bank
from pss.deploy.exporter import Exporter, check_export, file_stems
from pss.errors import InputError

from ..building import NETWORKS, random_bank
from .conftest import record_of


def supernet_logits(model, bank, kept, images):
    model.switch_to(kept.subnet, bank.statistics[kept.subnet])
    with torch.no_grad():
        return model(images)


@pytest.mark.parametrize(
    'backbone', [{}, *NETWORKS.values()], ids=['small', *NETWORKS])
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
            supernet_logits(model, bank, kept, images),
            atol=1e-4,
            rtol=1e-5)
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
        plain = init_model(
            load_config(tmp_path / f'{stem}.py'), tmp_path / f'{stem}.pth')
        for network in (loaded, plain):
            with torch.no_grad():
                torch.testing.assert_close(
                    network(images), wanted, atol=1e-5, rtol=0)
    assert not list(tmp_path.glob('*.tmp*'))


def test_a_difference_is_an_error(tmp_path, monkeypatch):
    """Oracle: an error and no file, with logits that are a thousandth off,
    which is more than ten times the tolerance and rounding."""
    _, bank = random_bank(0)
    build = export_module.onnx_session

    class Wrong:

        def __init__(self, content):
            self.session = build(content)

        def run(self, *args):
            logits, = self.session.run(*args)
            return [logits + np.float32(0.001 * max(1, np.abs(logits).max()))]

    monkeypatch.setattr(export_module, 'onnx_session', Wrong)
    with pytest.raises(InputError, match='not written: its logits differ'):
        Exporter(bank).export(bank.kept[0], 'onnx', tmp_path)
    assert not list(tmp_path.iterdir())


def test_real_images_are_needed(tmp_path):
    """Oracle: the option in the message; with a file it works."""
    import cv2
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


def test_banks_whose_testing_calls_something(tmp_path):
    """Oracle: neither a file nor the marker that testing the exported network
    would leave."""
    _, bank = random_bank(0)
    bank = dataclasses.replace(
        bank,
        testing=dict(
            dataloader=dict(
                batch_size=1,
                num_workers=0,
                sampler=dict(type='DefaultSampler'),
                dataset=dict(
                    type='CustomDataset', data_root='x',
                    pipeline=bank.pipeline)),
            evaluator=dict(type='Accuracy')))
    Exporter(bank)
    bank.testing['evaluator'] = dict(
        type='subprocess.getoutput', cmd=f'touch {tmp_path / "marker"}')
    with pytest.raises(InputError, match='bank: testing.evaluator'):
        Exporter(bank).export(bank.kept[0], 'torch', tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('kind', ['torch', 'onnx', 'torchscript'])
def test_a_full_disk(tmp_path, exporter, kind):
    """Oracle: the files are unchanged under a limit on file sizes. PyTorch's
    own writer would end the process with status 134."""
    if kind == 'onnx':
        pytest.importorskip('onnxruntime')
    smallest, largest = exporter.bank.kept
    exporter.export(smallest, kind, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(
                InputError, match="subnet 'largest'.* cannot be "
                'written') as error:
            exporter.export(largest, kind, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert '\n' not in str(error.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize('name',
                         ['largest.pth', 'largest.py', 'largest.pth.json'])
def test_all_files_of_a_subnet_or_none(tmp_path, exporter, name):
    """Oracle: the folder is unchanged if one of three files cannot be
    written."""
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f'{name}: cannot be written'):
        exporter.export(exporter.bank.kept[-1], 'torch', tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_no_difference_is_within_a_share_of_infinity(tmp_path, exporter,
                                                     monkeypatch):
    """Oracle: an error where the supernet's logits overflow, and the tolerance
    with them."""
    former = exporter.model.head.fc.bias.data.clone()
    exporter.model.head.fc.bias.data.fill_(float('inf'))
    monkeypatch.setattr(export_module, 'largest_difference',
                        lambda *_: float('inf'))
    try:
        with pytest.raises(InputError, match='differ by inf'):
            exporter.export(exporter.bank.kept[0], 'torch', tmp_path)
    finally:
        exporter.model.head.fc.bias.data.copy_(former)
    assert not list(tmp_path.iterdir())


def test_file_names_are_different():
    """Oracle: no two names are equal, even if case is ignored."""
    assert file_stems(['flops 9.5', 'largest']) == ['flops_9_5', 'largest']
    assert file_stems([
        'flops 1e+06', 'flops 1e-06', 'flops_1e_06_2', 'Flops 1e 06'
    ]) == ['flops_1e_06', 'flops_1e_06_2', 'flops_1e_06_2_2', 'Flops_1e_06_3']


def test_names_that_make_the_same_file_name(tmp_path):
    """Oracle: each subnet has its own file, even if it is exported alone."""
    _, bank = random_bank(2)
    kept = [
        dataclasses.replace(k, name=name)
        for k, name in zip(bank.kept, ('smallest', 'flops 1e+06', 'flops 1e-06',
                                       'largest'))
    ]
    exporter = Exporter(dataclasses.replace(bank, kept=tuple(kept)))
    for row, stem in ((kept[2], 'flops_1e_06_2'), (kept[1], 'flops_1e_06')):
        record = exporter.export(row, 'torch', tmp_path)
        assert record['file'] == f'{stem}.pth' and record['name'] == row.name
        assert record_of(tmp_path / f'{stem}.pth')['subnet'] == \
            row.subnet.as_dict()
    assert len(list(tmp_path.iterdir())) == 6
    with pytest.raises(InputError, match='expected a subnet of the bank'):
        exporter.export(bank.kept[1], 'torch', tmp_path)


def test_inputs_are_not_written_over(tmp_path, bank):
    """Oracle: the bank's folder, links to it, and a folder in it."""
    (tmp_path / 'link').symlink_to(bank)
    for folder in (bank, bank / 'exports', tmp_path / 'link',
                   tmp_path / '..' / tmp_path.name / 'link'):
        with pytest.raises(InputError, match='expected another name'):
            check_export(folder, bank, 'onnx')
    check_export(bank.parent, bank, 'onnx')
    check_export(tmp_path / 'new', bank, 'torch')
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='file: expected a folder'):
        check_export(tmp_path / 'file', bank, 'onnx')


@pytest.mark.parametrize('name',
                         ['largest.pth', 'largest.py', 'largest.pth.json'])
def test_files_of_others_are_not_replaced(tmp_path, exporter, name):
    """Oracle: the file is unchanged; an export's own files are replaced."""
    kept = exporter.bank.kept[-1]
    (tmp_path / name).write_text('mine')
    with pytest.raises(InputError, match=f'{name}: exists, and no export'):
        exporter.export(kept, 'torch', tmp_path)
    assert (tmp_path / name).read_text() == 'mine'
    (tmp_path / name).unlink()
    for _ in range(2):
        exporter.export(kept, 'torch', tmp_path)
    (tmp_path / 'link').symlink_to(tmp_path, True)
    exporter.export(kept, 'torch', tmp_path / 'link')


def test_bad_images_are_named(tmp_path):
    """Oracle: the file's name, whatever is wrong with it."""
    import cv2
    _, bank = random_bank(0)
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((40, 30, 3), np.uint8))
    good = str(tmp_path / 'a.png')
    (tmp_path / 'b.png').write_bytes(b'x')
    (tmp_path / 'c.png').mkdir()
    for name in ('b.png', 'c.png', 'd.png'):
        with pytest.raises(InputError, match=name):
            Exporter(bank, [good, str(tmp_path / name)])
    broken = dataclasses.replace(
        bank,
        pipeline=[
            dict(type='Resize', scale=24, interpolation='none'),
            dict(type='PackInputs')
        ])
    with pytest.raises(InputError, match='a.png: '):
        Exporter(broken, [good])
