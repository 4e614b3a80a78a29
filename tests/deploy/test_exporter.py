import builtins
import dataclasses
import json
import resource

import numpy as np
import pytest
import torch
from mmengine.config import Config

from pss.apis import init_model, load_config
from pss.deploy import exporter as export_module
from pss.deploy import write_bank
from pss.deploy.exporter import (
    Exporter,
    check_export,
    file_stems,
    largest_difference,
    parse_budget,
    write_config,
    write_model_index,
)
from pss.deploy.onnx_export import check_onnx, onnx_session
from pss.errors import InputError

from ..conftest import NETWORKS, random_bank


def supernet_logits(model, bank, kept, images):
    model.switch_to(kept.subnet, bank.statistics[kept.subnet])
    with torch.no_grad():
        return model(images)


def record_of(path):
    return json.loads(path.with_name(path.name + '.json').read_text())


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
    """Oracle: a tolerance that nothing meets; then no file is there."""
    _, bank = random_bank(0)
    monkeypatch.setitem(export_module.TOLERANCES, 'onnx', -1.)
    with pytest.raises(InputError, match='not written: its logits differ'):
        Exporter(bank).export(bank.kept[0], 'onnx', tmp_path)
    assert not list(tmp_path.iterdir())


def test_real_images_are_needed(tmp_path):
    """Oracle: the argument that names some; a file does it."""
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


@pytest.mark.parametrize('words, wanted', [
    (['flops=60'], dict(flops=60)),
    (['flops=6.5', 'latency_cpu=20_000'], dict(flops=6.5, latency_cpu=20000)),
    (['flops=60', 'flops=60'], dict(flops=60)),
    (['flops'], 'NAME=NUMBER'),
    (['flops=x'], "--budget 'flops=x'"),
    (['flops=60', 'flops=70'], 'flops=60 and flops=70 contradict'),
    *(([f'flops={value}'], 'expected NAME=NUMBER, the number finite')
      for value in ('nan', 'inf', '-inf', '-1', '0', '1e400', '9' * 9999, '',
                    '1__0')),
    (['=60'], "--budget '=60': expected NAME=NUMBER"),
    ([' =60'], 'expected NAME=NUMBER'),
    (['flops\x1b[2J=60'], r"--budget 'flops\\x1b\[2J=60': expected"),
    (['flops=60\x1b[2J'], r'\\x1b'),
])
def test_parse_budget(words, wanted):
    """Oracle: the limits, or what is wrong."""
    if isinstance(wanted, dict):
        assert parse_budget(words) == wanted
        return
    with pytest.raises(InputError, match=wanted) as error:
        parse_budget(words)
    assert str(error.value).isprintable() and len(str(error.value)) < 200


MODEL = dict(type='mmpretrain.ImageClassifier', backbone=dict(type='ResNet'))


@pytest.mark.parametrize(
    'model', [
        dict(
            MODEL,
            texts=[
                'a\'b"c', 'a\nb\\', '\x1b', '\ud800', 'é😀', '{ {', '{', "'''",
                '$HOME', '', 'dict(a=1)', '# noqa'
            ]),
        dict(MODEL, numbers=[1, -1, 1.5, -0.1, 1e-300, 2**80, True, None]),
        dict(MODEL, nested=[dict(a=(1, (2, ), [])), (dict(b={}), ), [[1], ()]]),
        dict(MODEL, detector='mmdet.RetinaNet', filename='x', text='y'),
    ],
    ids=['texts', 'numbers', 'nested', 'detector'])
def test_configs_say_what_was_meant(tmp_path, model):
    """Oracle: the model's config, as MMEngine reads it from the file."""
    testing = dict(
        dataloader=dict(batch_size=2),
        evaluator=[dict(type='pss.SubnetAccuracy', topk=[1, 5], prefix='x')])
    write_config(model, tmp_path / 'a.py', testing)
    found = Config.fromfile(tmp_path / 'a.py').to_dict()
    assert found['model'] == model
    assert found['test_dataloader'] == dict(batch_size=2)
    assert found['test_evaluator'] == [
        dict(type='Accuracy', topk=(1, 5), thrs=None, prefix='x')
    ]
    assert found['default_scope'] == \
        ('mmdet' if 'detector' in model else 'mmpretrain')


class Touching:
    """Leaves a marker where its text is run."""

    def __init__(self, marker):
        self.marker = marker

    def __repr__(self):
        return f'open({str(self.marker)!r}, "w").name'


@pytest.mark.parametrize('value, words', [
    ('{{$PSS_TEST:x}}', 'expected a text without {{ and }}'),
    ('{{ fileDirname }}', 'expected a text without {{ and }}'),
    ('}}', 'expected a text without {{ and }}'),
    (Touching, 'found Touching'),
    (np.float64(1), 'found float64'),
    (b'x', 'found bytes'),
    ({1}, 'found set'),
    (print, 'found builtin'),
    (float('nan'), 'backbone.x[0]=nan: expected a finite number'),
    (float('inf'), 'x[0]=inf: expected a finite number'),
    (10**400, 'expected a finite number'),
    ({
        'a b': 1
    }, "backbone.x[0]: key 'a b': expected a name"),
    ({
        'class': 1
    }, "key 'class'"),
    ({
        '': 1
    }, "key ''"),
    ({
        1: 1
    }, 'key 1'),
    ({
        '\ufb01': 1
    }, 'key'),
    ({
        'a=1)\nb(c': 1
    }, 'key'),
])
def test_configs_hold_data(tmp_path, monkeypatch, value, words):
    """Oracle: one line that names the field; a marker that is not there,
    which a template that MMEngine expands would leave."""
    marker = tmp_path / 'marker'
    monkeypatch.setenv('PSS_TEST', f"' + open('{marker}', 'w').name + '")
    if value is Touching:
        value = Touching(marker)
    model = dict(MODEL, backbone=dict(x=[value]))
    with pytest.raises(InputError) as error:
        write_config(model, tmp_path / 'a.py')
    assert words in str(error.value) and '\n' not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_templates_run_code(tmp_path, monkeypatch):
    """Oracle: MMEngine itself; else the test above shows nothing."""
    marker = tmp_path / 'marker'
    monkeypatch.setenv('PSS_TEST', f"' + open('{marker}', 'w').name + '")
    (tmp_path / 'a.py').write_text("x = '{{$PSS_TEST:x}}'")
    Config.fromfile(tmp_path / 'a.py')
    assert marker.exists()


@pytest.mark.parametrize('text, words', [
    ('model = TOUCH', 'more than data'),
    ('import os', 'more than data'),
    ('model = dict(TOUCH)', 'more than data'),
    ('model = dict(**TOUCH)', 'more than data'),
    ('model = [TOUCH for i in (1, )]', 'more than data'),
    ('model: TOUCH = 1', 'more than data'),
    ("model = f'{TOUCH}'", 'more than data'),
    ('model = lambda: 1', 'more than data'),
    ('model = dict(', 'more than data'),
    ('model = 1\nmodel = 2', 'more than data'),
    ("model = dict(type='mmpretrain.Other')", 'differs'),
    ("model = dict(type='mmpretrain.ImageClassifier', x=True)", 'differs'),
])
def test_texts_are_checked_before_they_are_run(tmp_path, monkeypatch, text,
                                               words):
    """Oracle: a formatter that writes programs; they leave no marker."""
    text = text.replace('TOUCH', repr(Touching(tmp_path / 'marker')))
    monkeypatch.setattr(Config, 'pretty_text', text)
    with pytest.raises(InputError, match=words):
        write_config(
            dict(type='mmpretrain.ImageClassifier', x=1), tmp_path / 'a.py')
    assert not list(tmp_path.iterdir())


def test_banks_whose_testing_calls_something(tmp_path):
    """Oracle: a marker, which a Runner that tests the exported network would
    leave; nothing is written either."""
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


@pytest.fixture(scope='module')
def exporter():
    """Of a bank of two subnets."""
    return Exporter(random_bank(0)[1])


@pytest.mark.parametrize('kind', ['torch', 'onnx', 'torchscript'])
def test_a_full_disk(tmp_path, exporter, kind):
    """Oracle: a limit on the size of files. PyTorch's own writer would end
    the process with status 134; what was there before stays whole."""
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
    """Oracle: the folder as it was, where one of three cannot be written."""
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f'{name}: cannot be written'):
        exporter.export(exporter.bank.kept[-1], 'torch', tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_no_difference_is_within_a_share_of_infinity(tmp_path, exporter,
                                                     monkeypatch):
    """Oracle: a supernet whose logits overflow, and a network whose do not."""
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


def test_nan_is_a_difference():
    """Oracle: NaN, on the image alone and on the batch alone."""
    images = torch.zeros(2, 1)
    for size in (1, 2):
        found = largest_difference(
            lambda x, size=size: x / float(len(x) != size),
            torch.zeros_like,
            images)
        assert np.isnan(found)
    assert largest_difference(lambda x: x + 2, lambda x: x, images) == 2


def test_file_names_are_different():
    """Oracle: no two alike, on disks without capital letters either."""
    assert file_stems(['flops 9.5', 'largest']) == ['flops_9_5', 'largest']
    assert file_stems([
        'flops 1e+06', 'flops 1e-06', 'flops_1e_06_2', 'Flops 1e 06'
    ]) == ['flops_1e_06', 'flops_1e_06_2', 'flops_1e_06_2_2', 'Flops_1e_06_3']


def test_names_that_make_the_same_file_name(tmp_path):
    """Oracle: each subnet's own file, also where one is exported alone."""
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
    with pytest.raises(InputError, match='a.py: is read by'):
        export_module.check_targets(
            [tmp_path / 'a.pth', tmp_path / 'a.py'],
            [tmp_path / 'c.pth', tmp_path / '.' / 'a.py'])


@pytest.mark.parametrize('name',
                         ['largest.pth', 'largest.py', 'largest.pth.json'])
def test_files_of_others_are_not_replaced(tmp_path, exporter, name):
    """Oracle: the file as it was; an export's own files are replaced."""
    kept = exporter.bank.kept[-1]
    (tmp_path / name).write_text('mine')
    with pytest.raises(InputError, match=f'{name}: is there already'):
        exporter.export(kept, 'torch', tmp_path)
    assert (tmp_path / name).read_text() == 'mine'
    (tmp_path / name).unlink()
    for _ in range(2):
        exporter.export(kept, 'torch', tmp_path)
    (tmp_path / 'link').symlink_to(tmp_path, True)
    exporter.export(kept, 'torch', tmp_path / 'link')


def foreign(to, **changes):
    """A function that puts a changed record into a folder."""

    def put(folder):
        record = {**record_of(folder / 'smallest.pth'), **changes}
        (folder / to).write_text(json.dumps(record))

    return put


@pytest.mark.parametrize('put, words', [
    (lambda f: (f / 'a.pth.json').mkdir(), 'expected the record'),
    (lambda f: (f / 'a.pth.json').write_text('{'), 'not a JSON file'),
    (lambda f: (f / 'a.pth.json').write_bytes(b'\xff'), 'not a JSON file'),
    (lambda f: (f / 'a.pth.json').write_text('[' * 99999), 'not a JSON file'),
    (lambda f: (f / 'a.pth.json').write_text('[1]'), 'record of a.pth'),
    (lambda f: (f / 'a.pth.json').write_text('{"file": 1}'), 'record of a.pth'),
    (lambda f: (f / 'a.pth.json').symlink_to('nowhere'), 'expected the record'),
    (lambda f:
     (f / 'a.pth.json').symlink_to('smallest.pth.json'), 'expected the record'),
    (lambda f: (f / 'a b\x1b.pth.json').write_text('{}'), r'b\x1b.pth.json'),
    (foreign('a.pth.json'), 'record of a.pth'),
    (foreign('a.pth.json', file='a.pth'), 'a.py is missing'),
    (foreign('a.pth.json', file='a.pth', metric='a\x1b'), 'metric='),
    (foreign('a.pth.json', file='a.pth', metric=None), 'metric=None'),
    (foreign('a.pth.json', file='a.pth', test_accuracy=float('nan')),
     'test_accuracy=nan: expected a finite number'),
    (foreign('a.pth.json', file='a.pth', test_accuracy='9'), 'test_accuracy'),
    (foreign('a.pth.json', file='a.pth', subnet=[]), 'a.pth.json'),
    (foreign('a.pth.json', file='a.pth', name=3), 'name=3'),
])
def test_foreign_files_are_no_models(tmp_path, exporter, monkeypatch, put,
                                     words):
    """Oracle: the index without them, and a line that names each."""
    exporter.export(exporter.bank.kept[0], 'torch', tmp_path)
    wanted = write_model_index(tmp_path).read_text()
    assert [model['Name'] for model in json.loads(wanted)['Models']] == \
        ['pss_smallest']
    put(tmp_path)
    lines = []
    monkeypatch.setattr(export_module, 'print_log',
                        lambda line, *_: lines.append(line))
    assert write_model_index(tmp_path).read_text() == wanted
    assert len(lines) == 1 and words in lines[0] and lines[0].isprintable()


@pytest.mark.parametrize('text', [
    'Models:\n- Name: mine', '{}', '[]', '{"Collections": 1}',
    '{"Collections": [{"Name": "Others"}], "Models": []}', None
])
def test_an_index_of_others_stays(tmp_path, bank, text):
    """Oracle: the file as it was; it is found before anything is exported."""
    index = tmp_path / 'model-index.yml'
    index.mkdir() if text is None else index.write_text(text)
    for refused in (lambda: write_model_index(tmp_path),
                    lambda: check_export(tmp_path, bank, 'torch')):
        with pytest.raises(InputError, match='not written by this command'):
            refused()
    check_export(tmp_path, bank, 'onnx')
    assert text is None or index.read_text() == text


def test_each_image_that_is_none_is_named(tmp_path):
    """Oracle: the file, whatever is wrong with it."""
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


def test_versions_that_do_not_work(monkeypatch):
    """Oracle: the package, its version and what is expected."""
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    check_onnx('this')
    with monkeypatch.context() as patch:
        patch.setattr(onnx, '__version__', '1.9.0')
        with pytest.raises(InputError, match='onnx==1.9.0: expected 1.14'):
            check_onnx('this')
    with pytest.raises(
            InputError,
            match='onnxruntime .* cannot run what torch '
            '.* and onnx .* write'):
        onnx_session(b'nothing')
    real = builtins.__import__

    def importing(name, *args, **kwargs):
        if name == 'onnxruntime':
            raise AttributeError('_ARRAY_API not found')
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', importing)
    with pytest.raises(InputError, match='cannot be imported .*_ARRAY_API'):
        check_onnx('this')
