import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from pss.apis import AdaptiveClassifier
from pss.deploy import bank as bank_module
from pss.deploy import classifier_vocabulary, read_bank, write_bank
from pss.deploy.vocabulary import Family
from pss.errors import InputError
from pss.registry import MODELS, importing_nothing
from pss.structures import level_name

from ..conftest import ROOT, random_bank


def test_round_trip(tmp_path):
    """Oracle: what was written, field by field, every tensor bit for bit."""
    _, bank = random_bank(classes=('a', 'b'))
    write_bank(bank, tmp_path / 'bank')
    found = read_bank(tmp_path / 'bank')
    for field in dataclasses.fields(bank):
        one, two = getattr(bank, field.name), getattr(found, field.name)
        if field.name in ('weights', 'statistics', 'samples'):
            continue
        assert json.loads(json.dumps(one, default=repr)) == \
            json.loads(json.dumps(two, default=repr)), field.name
    assert set(found.weights) == set(bank.weights)
    assert all(
        torch.equal(found.weights[k], v) for k, v in bank.weights.items())
    assert set(found.statistics) == set(bank.statistics)
    for subnet, statistics in bank.statistics.items():
        for name, values in statistics.items():
            for a, b in zip(values, found.statistics[subnet][name]):
                assert torch.equal(a, b)
    assert torch.equal(found.samples, bank.samples)
    assert sorted(os.listdir(tmp_path)) == ['bank']


def test_size():
    """Oracle: 1.25 times the weights for MobileNetV2 with 22 pools; the share
    of the statistics is that of the real network, whatever the resolution."""
    from pathlib import Path
    from tempfile import TemporaryDirectory
    model, bank = random_bank(
        22,
        type='pss.SlimmableMobileNetV2',
        search_space=dict(resolutions=[32, 48]))
    bank = dataclasses.replace(
        bank, samples=torch.randint(256, (2, 3, 224, 224), dtype=torch.uint8))
    with TemporaryDirectory() as folder:
        write_bank(bank, Path(folder, 'bank'))
        size = sum(f.stat().st_size for f in Path(folder, 'bank').iterdir())
    # the small head here has 10 classes instead of 1,000
    head = 990 * 1281
    weights = sum(p.numel() for p in model.parameters())
    assert (size + 4 * head) / (4 * (weights + head)) < 1.25


@pytest.mark.parametrize('name', ['bank.json', *bank_module.FILES])
@pytest.mark.parametrize('damage', ['missing', 'truncated', 'altered', 'empty'])
def test_damaged_files(bank, tmp_path, name, damage):
    """Oracle: one line with the file's name in it; a byte in the middle of
    each file, and one near its end, is altered."""
    copy = tmp_path / 'bank'
    shutil.copytree(bank, copy)
    path = copy / name
    content = path.read_bytes()
    if damage == 'missing':
        path.unlink()
        variants = [None]
    else:
        half = len(content) // 2
        variants = {
            'truncated': [content[:half], content[:-1]],
            'empty': [b''],
            'altered': [
                content[:i] + bytes([content[i] ^ 1]) + content[i + 1:]
                for i in (half, len(content) - 3)
            ],
        }[damage]
    for variant in variants:
        if variant is not None:
            path.write_bytes(variant)
        with pytest.raises(InputError, match=name) as error:
            AdaptiveClassifier(copy)
        assert '\n' not in str(error.value)


def rewrite(bank, folder, change):
    """A copy of a bank whose bank.json is changed, with right checksums."""
    shutil.copytree(bank, folder)
    index = json.loads((folder / 'bank.json').read_text())
    change(index)
    index['sha256'] = 64 * '0'
    text = json.dumps(index)
    digest = bank_module._digest(text.encode())
    (folder / 'bank.json').write_text(text.replace(64 * '0', digest))
    return folder


@pytest.mark.parametrize('change, words', [
    (lambda v: v.update(version=2), 'version=2 is newer than 1'),
    (lambda v: v.update(version='1'), 'version="1".*an integer'),
    (lambda v: v.update(version=True), 'version=true.*an integer'),
    (lambda v: v.update(version=0), 'version=0: expected'),
    (lambda v: v.update(format='zip'), 'format="zip"'),
    (lambda v: v.pop('format'), "'format' is missing"),
    (lambda v: v.pop('pools'), "'pools' is missing"),
    (lambda v: v.update(pools={}), 'pools={}.*a list'),
    (lambda v: v['pools'].append(3), r'pools\[6\]: an object was expected'),
    (lambda v: v['pools'][1].pop('level'), r"pools\[1\].*'level' is missing"),
    (lambda v: v['pools'][1].update(resource='x'), r'resource="x": expected'),
    (lambda v: v['pools'][1].update(held_out_accuracy=None),
     'held_out_accuracy=null: expected a finite number'),
    (lambda v: v['pools'][1]['subnet'].update(widths='x'), 'widths'),
    (lambda v: v['pools'][1]['subnet'].update(resolution=17), 'resolution=17'),
    (lambda v: v['pools'][1]['costs'].pop('flops'), 'costs=.*one for each'),
    (lambda v: v['pools'][1]['costs'].update(flops='x'), 'flops="x"'),
    (lambda v: v['largest'].update(statistics=99), 'statistics=99'),
    (lambda v: v.update(classes=[1]), r'classes\[0\]=1: expected a .*text'),
    (lambda v: v.update(classes=['a', 'b\x1b[2J']), r'classes\[1\]='),
    (lambda v: v.update(metric='a\nb'), 'metric='),
    (lambda v: v['resources'].update(flops='\x07'), 'resources.flops='),
    (lambda v: v['pools'][1].update(level=v['pools'][0]['level']),
     "2 subnets are called 'flops 0'"),
    (lambda v: v['pools'][1]['costs'].update(flops=float('inf')),
     'flops=.*a finite number'),
    (lambda v: v['pools'][1]['costs'].update(flops=9**999),
     'an integer of 954 digits'),
    (lambda v: v['preprocessing']['data_preprocessor'].update(std=[0, 1, 1]),
     r'std\[0\]=0: expected a finite number of at least'),
    (lambda v: v['preprocessing']['data_preprocessor'].update(mean=[1e39] * 3),
     r'mean\[0\]=1e\+39: expected'),
    (lambda v: v['preprocessing']['data_preprocessor'].update(mean=[1., 1.]),
     r'have \[2, 3\] values: expected 3'),
    (lambda v: v['preprocessing'].update(input_shape=[1, 24, 24]),
     'channels: expected'),
    (lambda v: v['preprocessing'].update(input_shape=[8192] * 3),
     'input_shape=.*at most'),
    (lambda v: v['preprocessing']['pipeline'].insert(
        1, dict(type='Resize', scale=9, backend='cv2', interpolation='hamming')
    ), "interpolation='hamming': expected"),
    (lambda v: v['pools'][1]['costs'].update(flops=-1.), 'costs.flops=-1.0'),
    (lambda v: v['files']['weights.safetensors'].update(bytes=1 << 40),
     'bytes=1099511627776: expected'),
    (lambda v: v['preprocessing']['pipeline'].pop(), 'one PackInputs'),
    (lambda v: v['preprocessing']['pipeline'].append(
        dict(type='LoadImageFromFile')), 'PackInputs'),
    (lambda v: v['model']['backbone'].update(depth=17), 'depth=17: expected'),
    (lambda v: v['model']['backbone'].update(base_channels=16384),
     'far larger than'),
    (lambda v: v['model']['backbone']['search_space'].update(
        resolutions=dict(start=1, stop=10**9, step=1)), 'resolutions'),
    (lambda v: v['preprocessing'].update(input_shape=[3, 8]), 'input_shape'),
    (lambda v: v['files']['weights.safetensors'].pop('sha256'), 'sha256'),
    (lambda v: v['model']['head'].update(num_classes=11), 'weights fit'),
    (lambda v: v['classes'].pop(), 'classes: 9 names, expected 10'),
    (lambda v: v['largest'].update(subnet=v['smallest']['subnet']),
     'largest.*expected'),
    (lambda v: v['model']['head'].update(num_class=11),
     "unknown key 'num_class' .did you mean 'num_classes'"),
    (lambda v: v['model'].pop('type'), 'model: type=None: expected'),
])
def test_wrong_fields(bank, tmp_path, change, words):
    """Oracle: field, value and what is legal, in one line."""
    folder = rewrite(bank, tmp_path / 'bank', change)
    with pytest.raises(InputError, match=words) as error:
        AdaptiveClassifier(folder)
    assert '\n' not in str(error.value)


def _step(**step):
    return lambda v, t: v['preprocessing']['pipeline'].insert(
        0, json.loads(json.dumps(step).replace('TARGET', t)))


def _head(**head):
    return lambda v, t: v['model'].update(
        head=json.loads(json.dumps(head).replace('TARGET', t)))


SIMPLIFY = dict(
    type='RandomResize',
    scale=[28, 28],
    resize_type='sympy.simplify',
    expr="__import__('os').mkdir('TARGET')")
LOADING = dict(
    type='LoadImageFromFile',
    backend_args=dict(backend='petrel', sys_path='TARGET'))


@pytest.mark.parametrize(
    'change',
    [
        # any name that can be imported
        lambda v, t: v['model']['head'].update(type='os.mkdir', path=t),
        lambda v, t: v['model'].update(type='os.mkdir', path=t),
        _step(type='pathlib.Path', path='TARGET'),
        _step(type='torchvision/Lambda', lambd='TARGET'),
        _step(type=['PackInputs']),
        _step(type='torch.hub.load', repo_or_dir='TARGET', model='x'),
        # registered classes that import, call, fetch or unpickle by themselves
        _step(**SIMPLIFY),
        _step(type='RandomApply', transforms=[SIMPLIFY]),
        _step(
            type='RandAugment',
            policies=[SIMPLIFY],
            num_policies=1,
            magnitude_level=1),
        _step(type='KeyMapper', transforms=[LOADING]),
        _step(**LOADING),
        _step(type='Albumentations', transforms=[dict(type='os.mkdir')]),
        _head(
            type='mmpretrain.VQAGenerationHead',
            decoder=dict(type='mmpretrain.GlobalAveragePooling'),
            inference_method='rank',
            answer_list_path='TARGET/x.pkl'),
        lambda v, t: v['model']['backbone'].update(
            type='mmpretrain.TIMMBackbone', checkpoint_path=t),
        lambda v, t: v['model']['backbone'].update(
            type='mmpretrain.HuggingFaceClassifier', model_name=t),
        lambda v, t: v['model'].update(
            neck=dict(type='pss.ResizedDetector', detector='os.mkdir', path=t)),
        lambda v, t: v.update(
            model=dict(type='pss.ResizedDetector', detector='os.mkdir', path=t)
        ),
        # keys that name files, and values that name functions
        lambda v, t: v['model']['backbone'].update(
            init_cfg=dict(type='Pretrained', checkpoint=t)),
        lambda v, t: v['model'].update(pretrained=t),
        lambda v, t: v['model']['backbone'].update(
            norm_cfg=dict(type='os.mkdir', path=t)),
        lambda v, t: v['model']['head']['loss'].update(class_weight=t),
        lambda v, t: v['preprocessing']['data_preprocessor'].update(
            batch_augments=dict(augments=[dict(type='os.mkdir', path=t)])),
        lambda v, t: v['preprocessing'].update(
            data_preprocessor=dict(type='os.mkdir', path=t)),
    ])
def test_nothing_is_executed(bank, tmp_path, change):
    """Oracle: what the config would make is not there, and what is refused is
    a class, a key or a value. An image is predicted with what gets through."""
    target = tmp_path / 'made'
    folder = rewrite(bank, tmp_path / 'bank', lambda v: change(v, str(target)))
    with pytest.raises(InputError, match='expected|needs MMDet'):
        AdaptiveClassifier(folder).predict(np.zeros((30, 30, 3), np.uint8))
    assert not target.exists()


def test_classes_of_ones_own(bank, tmp_path, monkeypatch):
    """Oracle: a head of a package outside of this one, registered when it is
    imported: refused without the reader's consent, and what it inherits is
    computed with it. Consent to another package does not do."""
    (tmp_path / 'mypackage.py').write_text(
        'from mmpretrain.models import LinearClsHead\n'
        'from pss.registry import MODELS\n\n\n'
        '@MODELS.register_module()\n'
        'class MyHead(LinearClsHead):\n'
        '    def __init__(self, *args, note, **kwargs):\n'
        '        super().__init__(*args, **kwargs)\n')
    monkeypatch.syspath_prepend(tmp_path)
    folder = rewrite(
        bank, tmp_path / 'bank',
        lambda v: v['model']['head'].update(type='pss.MyHead', note='anything'))
    for trust in ((), ['torch'], ['json']):
        with pytest.raises(InputError, match="'pss.MyHead'.*trust="):
            AdaptiveClassifier(folder, trust=trust)
    image = np.full((30, 30, 3), 100, np.uint8)
    assert AdaptiveClassifier(
        folder, trust=['mypackage'
                       ]).predict(image)[0]['pred_score'] == AdaptiveClassifier(
                           bank).predict(image)[0]['pred_score']
    done = subprocess.run([
        sys.executable,
        str(ROOT / 'tools/deployment/export_subnet.py'),
        str(folder), '--all', '--format', 'torch', '--out', 'exported',
        '--trust', 'mypackage'
    ],
                          cwd=tmp_path,
                          capture_output=True,
                          text=True,
                          env=dict(
                              os.environ,
                              PYTHONPATH=os.pathsep.join([
                                  str(tmp_path),
                                  str(ROOT),
                                  os.environ.get('PYTHONPATH', '')
                              ])))
    assert done.returncode == 0, done.stderr
    assert "imports=['pss', 'mypackage']" in (tmp_path / 'exported' /
                                              'largest.py').read_text()
    for trust, words in ((['nowhere.to.be.found'], 'cannot be imported'),
                         ('mypackage', 'a list of names'), ([1], 'a list')):
        with pytest.raises(InputError, match=f'trust.*{words}'):
            read_bank(folder, trust=trust)


def test_trust_is_of_the_named_package_alone(bank, tmp_path, monkeypatch):
    """Oracle: a marker that another package leaves when it is imported, which
    MMEngine does for the scope of a type, by a key of a trusted class."""
    (tmp_path / 'trusted_one.py').write_text(
        'from mmpretrain.models import LinearClsHead\n'
        'from pss.registry import MODELS\n\n\n'
        '@MODELS.register_module()\n'
        'class TrustedHead(LinearClsHead):\n'
        '    pass\n')
    (tmp_path / 'untrusted').mkdir()
    (tmp_path / 'untrusted' /
     '__init__.py').write_text(f'open({str(tmp_path / "made")!r}, "w")')
    monkeypatch.syspath_prepend(tmp_path)
    folder = rewrite(
        bank, tmp_path / 'bank', lambda v: v['model']['head'].update(
            type='pss.TrustedHead', _scope_='untrusted'))
    with pytest.raises(InputError, match="unknown key '_scope_'"):
        AdaptiveClassifier(folder, trust=['trusted_one'])
    with importing_nothing(), pytest.raises(KeyError):
        MODELS.build(dict(type='untrusted.X'))
    assert not (tmp_path / 'made').exists()


def test_other_threads_build_as_before():
    """Oracle: MMEngine's import by name, in a thread beside one in which it is
    switched off, and in that one afterwards, errors and nesting included."""
    found = []
    other = threading.Thread(
        target=lambda: found.append(MODELS.get('torch.nn.Linear')))
    with importing_nothing():
        with pytest.raises(RuntimeError), importing_nothing():
            raise RuntimeError
        assert MODELS.get('torch.nn.Linear') is None
        other.start()
        other.join()
    assert found == [torch.nn.Linear]
    assert MODELS.get('torch.nn.Linear') is torch.nn.Linear


def test_lists_name_what_there_is():
    """Oracle: MMEngine's registries, for every class on the lists."""
    for family in vars(classifier_vocabulary).values():
        if isinstance(family, Family):
            for name in family.entries:
                with DefaultScope.overwrite_default_scope('mmpretrain'):
                    assert family.registry.get(name) is not None, name


def test_overflowing_weights(tmp_path):
    """Oracle: finite weights whose scores are not: an error, no scores."""
    _, contents = random_bank(0)
    for key, value in contents.weights.items():
        if key.startswith('head.fc'):
            contents.weights[key] = torch.full_like(value, 3e38)
    write_bank(contents, tmp_path / 'bank')
    with pytest.raises(InputError, match='not finite'):
        AdaptiveClassifier(tmp_path / 'bank').predict(
            np.full((30, 30, 3), 200, np.uint8))


@pytest.mark.parametrize('number', ['00', '\u00b2', '\u0660', '-1'])
def test_numbers_of_statistics(tmp_path, number):
    """Oracle: digits as Python writes them, and nothing else."""
    from safetensors.torch import load, save
    _, contents = random_bank(0)
    write_bank(contents, tmp_path / 'bank')
    path = tmp_path / 'bank' / 'statistics.safetensors'
    tensors = load(path.read_bytes())
    key = next(iter(tensors))
    tensors[f'{number}.{key.partition(".")[2]}'] = tensors[key].clone()
    path.write_bytes(save(tensors))

    def renew(index):
        index['files'][path.name] = dict(
            bytes=path.stat().st_size,
            sha256=bank_module._digest(path.read_bytes()))

    folder = rewrite(tmp_path / 'bank', tmp_path / 'other', renew)
    with pytest.raises(InputError, match='statistics.safetensors: .*expected'):
        read_bank(folder)


@pytest.mark.parametrize('value, words', [(float('nan'), 'not finite'),
                                          (float('inf'), 'not finite')])
def test_weights_that_are_not_finite(tmp_path, value, words):
    """Oracle: the tensor's name; no bank of it is written either."""
    _, contents = random_bank(0)
    key = next(iter(contents.weights))
    contents.weights[key] = contents.weights[key].clone().fill_(value)
    with pytest.raises(InputError, match=f'{key}.*{words}'):
        write_bank(contents, tmp_path / 'bank')
    assert not (tmp_path / 'bank').exists()


def test_statistics_that_are_none(tmp_path):
    """Oracle: a variance below 0 gives NaN scores."""
    _, contents = random_bank(0)
    for statistics in contents.statistics.values():
        mean, var = next(iter(statistics.values()))
        var.fill_(-1)
    with pytest.raises(InputError, match='a variance of at least 0'):
        write_bank(contents, tmp_path / 'bank')


@pytest.mark.parametrize('name', ['bank.json', *bank_module.FILES])
def test_what_is_no_regular_file(bank, tmp_path, name):
    """Oracle: reading a pipe waits for ever, a device never ends."""
    for i, make in enumerate(
        (os.mkfifo, lambda path: os.symlink('/dev/zero', path), os.mkdir)):
        folder = tmp_path / str(i)
        shutil.copytree(bank, folder)
        (folder / name).unlink()
        make(folder / name)
        with pytest.raises(InputError, match=name):
            read_bank(folder)


def test_replacing_a_bank(tmp_path, monkeypatch):
    """Oracle: the new bank; after a crash while writing, the old one; where
    the file system cannot exchange folders, the new one all the same."""
    _, bank = random_bank()
    other = dataclasses.replace(bank, metric='other')
    folder = tmp_path / 'bank'
    write_bank(bank, folder)
    write_bank(other, folder)
    assert read_bank(folder).metric == 'other'

    def crash(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bank_module, '_exchange', crash)
        with pytest.raises(KeyboardInterrupt):
            write_bank(bank, folder)
    assert read_bank(folder).metric == 'other'
    with monkeypatch.context() as patch:
        patch.setattr(bank_module.ctypes, 'CDLL', lambda name: None)
        write_bank(bank, folder)
    assert read_bank(folder).metric == 'top1'
    assert os.listdir(tmp_path) == ['bank']


def test_what_is_no_bank_is_not_replaced(tmp_path):
    """Oracle: a file of the user's own."""
    folder = tmp_path / 'bank'
    write_bank(random_bank(0)[1], folder)
    (folder / 'mine.txt').write_text('kept')
    with pytest.raises(InputError, match="mine.txt.*would be lost"):
        write_bank(random_bank(0)[1], folder)
    assert (folder / 'mine.txt').read_text() == 'kept'
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'bank.json').write_text('{"accounts": []}')
    with pytest.raises(InputError, match='not the index of a bank'):
        write_bank(random_bank(0)[1], tmp_path / 'other')
    assert (tmp_path / 'other' / 'bank.json').read_text() == '{"accounts": []}'
    (tmp_path / 'mine.txt').write_text('kept')
    with pytest.raises(InputError, match='holds something that is no bank'):
        write_bank(random_bank()[1], tmp_path)
    assert (tmp_path / 'mine.txt').read_text() == 'kept'
    with pytest.raises(InputError, match='no such folder'):
        read_bank(tmp_path / 'nowhere')
    with pytest.raises(InputError, match='bank.json is missing'):
        read_bank(tmp_path)


def test_levels_that_six_digits_do_not_tell_apart(tmp_path):
    """Oracle: each subnet of the bank by its own name: what `switch` reports
    is what runs."""
    _, contents = random_bank(num=2)
    kept = list(contents.kept)
    for i, level in ((1, 100.00001), (2, 100.00002)):
        kept[i] = dataclasses.replace(
            kept[i], level=level, name=level_name('flops', level))
    write_bank(dataclasses.replace(contents, kept=tuple(kept)), tmp_path / 'b')
    net = AdaptiveClassifier(tmp_path / 'b')
    for entry in kept[1:3]:
        assert net.switch(entry.name).subnet == entry.subnet
        assert net._active.kept.subnet == entry.subnet
    assert len({entry.name for entry in net.subnets}) == 4
