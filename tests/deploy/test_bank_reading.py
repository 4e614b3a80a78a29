import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from pss.apis import AdaptiveClassifier
from pss.deploy import read_bank, write_bank
from pss.deploy.bank_format import FILES, digest
from pss.errors import InputError
from pss.registry import MODELS, importing_nothing

from ..building import random_bank
from ..paths import ROOT
from .conftest import rewrite


@pytest.mark.parametrize('name', ['bank.json', *FILES])
@pytest.mark.parametrize('damage', ['missing', 'truncated', 'altered', 'empty'])
def test_damaged_files(bank, tmp_path, name, damage):
    """Oracle: one line with the file's name. One byte is altered, in the middle
    of the file or near its end."""
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
    """Oracle: the field, its value and what was expected, in one line."""
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
    """Oracle: what the config would create does not exist; the error refuses a
    class, a key or a value. A bank that is accepted predicts an image."""
    target = tmp_path / 'made'
    folder = rewrite(bank, tmp_path / 'bank', lambda v: change(v, str(target)))
    with pytest.raises(InputError, match='expected|needs MMDet'):
        AdaptiveClassifier(folder).predict(np.zeros((30, 30, 3), np.uint8))
    assert not target.exists()


def test_classes_of_other_packages(bank, tmp_path, monkeypatch):
    """Oracle: a head that another package registers on import. It is refused
    unless the reader trusts exactly that package; then it computes what its
    base class does."""
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
    """Oracle: a marker that an untrusted package leaves when it is imported.
    MMEngine imports the scope of a type, here from a key of a trusted class."""
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


def test_overflowing_weights(tmp_path):
    """Oracle: an error instead of scores that are not finite, although all
    weights are finite."""
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
    """Oracle: only numbers as Python writes them are accepted."""
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
            bytes=path.stat().st_size, sha256=digest(path.read_bytes()))

    folder = rewrite(tmp_path / 'bank', tmp_path / 'other', renew)
    with pytest.raises(InputError, match='statistics.safetensors: .*expected'):
        read_bank(folder)


@pytest.mark.parametrize('name', ['bank.json', *FILES])
def test_files_that_are_not_regular(bank, tmp_path, name):
    """Oracle: an error at once; reading a pipe would wait for ever, reading a
    device never end."""
    for i, make in enumerate(
        (os.mkfifo, lambda path: os.symlink('/dev/zero', path), os.mkdir)):
        folder = tmp_path / str(i)
        shutil.copytree(bank, folder)
        (folder / name).unlink()
        make(folder / name)
        with pytest.raises(InputError, match=name):
            read_bank(folder)
