"""From a checkpoint to a bank and exported networks, as a user does it."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from pss.apis import AdaptiveClassifier
from pss.deploy import read_bank

from .conftest import options

BUILD = 'deployment/build_bank.py'
EXPORT = 'deployment/export_subnet.py'
EXPORT_BANK = 'deployment/export_bank.py'


@pytest.fixture(scope='module')
def work(call, small, tiny_fashion_mnist, tmp_path_factory):
    """The work directory of a training with the tool, bank included."""
    folder = tmp_path_factory.mktemp('work')
    code, out = call('train.py', small, '--work-dir', folder,
                     *options(tiny_fashion_mnist, False, 27, bank=True),
                     'test_cfg.candidates=1')
    assert code == 0, out[-2000:]
    assert out.splitlines()[-1].startswith('largest')
    return folder


def test_the_same_bank_at_the_end_and_by_the_tool(call, small, work,
                                                  tiny_fashion_mnist, tmp_path):
    """Oracle: the bank from the end of training; the results beside it."""
    out = tmp_path / 'a' / 'bank'
    code, text = call(BUILD, small, work / 'epoch_1.pth', '--out', out,
                      '--work-dir', tmp_path,
                      *options(tiny_fashion_mnist, False,
                               27), 'test_cfg.candidates=1')
    assert code == 0, text[-2000:]
    one, two = read_bank(work / 'bank'), read_bank(out)
    assert one.kept == two.kept and one.model == two.model
    results = json.loads((work / 'results.json').read_text())
    assert [kept.test_accuracy for kept in one.kept[1:-1]] == \
        [row['top1'] for row in results['pools']]


@pytest.mark.parametrize('kind, suffix, extra',
                         [('torch', '.pth', {'model-index.yml'}),
                          ('onnx', '.onnx', set()),
                          ('torchscript', '.pt', set())])
def test_export(call, work, tmp_path, kind, suffix, extra):
    """Oracle: one file and its record per subnet; the differences printed."""
    code, out = call(EXPORT, work / 'bank', '--all', '--format', kind, '--out',
                     tmp_path)
    assert code == 0, out
    bank = read_bank(work / 'bank')
    stems = {
        kept.name.replace(' ', '_').replace('.', '_')
        for kept in bank.kept
    }
    wanted = {
        f'{stem}{suffix}{tail}'
        for stem in stems
        for tail in ('', '.json')
    } | extra
    if kind == 'torch':
        wanted |= {f'{stem}.py' for stem in stems}
    assert set(os.listdir(tmp_path)) == wanted
    lines = [line for line in out.splitlines() if 'largest difference' in line]
    assert len(lines) == len(bank.kept)
    record = json.loads((tmp_path / f'largest{suffix}.json').read_text())
    assert record['classes'][0] == 'T-shirt/top'
    assert max(record['largest_difference'].values()) < 1e-4


def test_a_plain_subnet_in_our_tester_and_mmpretrains_inferencer(
        call, work, tiny_fashion_mnist, tmp_path):
    """Oracle: the bank's test accuracy; the adaptive classifier's scores."""
    from mmpretrain.apis import ModelHub, inference_model
    bank = read_bank(work / 'bank')
    limit = bank.kept[1].costs['flops']
    code, out = call(EXPORT, work / 'bank', '--budget', f'flops={limit}',
                     '--format', 'torch', '--out', tmp_path)
    assert code == 0, out
    net = AdaptiveClassifier(work / 'bank')
    kept = net.switch(flops=limit)
    stem = kept.name.replace(' ', '_').replace('.', '_')
    code, out = call('test.py', tmp_path / f'{stem}.py',
                     tmp_path / f'{stem}.pth', '--work-dir', tmp_path)
    assert code == 0, out
    found = json.loads((tmp_path / 'results.json').read_text())
    assert found['accuracy/top1'] == pytest.approx(kept.test_accuracy)

    ModelHub.register_model_index(tmp_path / 'model-index.yml')
    image = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    one = inference_model(f'pss_{stem}', image)
    other = net.predict(image)[0]
    assert one['pred_class'] == other['pred_class']
    np.testing.assert_allclose(
        one['pred_scores'], other['pred_scores'], atol=1e-5)


def test_a_device_bank_in_int8(call, work, tmp_path):
    """Oracle: the bank's own test accuracies, on all of its test images, and
    AdaptiveClassifier's predictions, which int8 seldom changes."""
    from pss.runtime import AdaptiveSession
    photos = tmp_path / 'photos' / 'some'
    photos.mkdir(parents=True)
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (28, 28), np.uint8)
        Image.fromarray(pixels).save(photos / f'{i}.png')
    code, out = call(EXPORT_BANK, work / 'bank', '--int8', '--calibration',
                     tmp_path / 'photos', '--out', tmp_path / 'device')
    assert code == 0, out
    bank = read_bank(work / 'bank')
    lines = [line for line in out.splitlines() if '% before' in line]
    for line, kept in zip(lines, bank.kept):
        assert line.strip().startswith(f'{kept.name}: ')
        assert f'accuracy {kept.test_accuracy:.2f} % before' in line
    assert len(lines) == len(bank.kept)
    assert out.splitlines()[-1].endswith(' MB')
    net = AdaptiveSession(tmp_path / 'device')
    assert [k.name for k in net.subnets] == [k.name for k in bank.kept]
    assert net.classes == bank.classes


@pytest.mark.parametrize('arguments, words', [
    (['--fp16', '--int8'], 'not allowed with argument'),
    (['--calibration', '.'], '--calibration: expected --int8 with it'),
    (['--int8', '--calibration', 'nowhere'], 'nowhere: no such folder'),
    (['--int8', '--num-images', '0'], '--num-images=0: expected an integer'),
    (['--images', 'nowhere.png'], 'nowhere.png: no such file'),
])
def test_bad_device_banks_end_in_one_line(call, bank, tmp_path, arguments,
                                          words):
    """Oracle: status 2, one line, nothing written."""
    code, out = call(EXPORT_BANK, bank, *arguments, '--out', tmp_path / 'out')
    assert code == 2 and words in out.strip().splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_a_folder_without_images_to_calibrate_with(call, bank, tmp_path):
    """Oracle: status 2, and the endings in the message."""
    code, out = call(EXPORT_BANK, bank, '--int8', '--calibration', tmp_path,
                     '--out', tmp_path / 'out')
    assert code == 2 and 'no images in it; expected some .jpg' in out


@pytest.mark.parametrize('arguments, words', [
    (['--budget', 'flops=1e-3'], 'no subnet fits flops=0.001; the nearest'),
    (['--budget', 'flop=60'], 'unknown resource (did you mean'),
    (['--budget', 'flops=60', 'flops=70'], 'contradict'),
    (['--budget', 'flops=nan'], 'expected NAME=NUMBER, the number finite'),
    (['--all', '--images', 'nowhere.png'], 'nowhere.png: no such file'),
])
def test_bad_exports_end_in_one_line(call, bank, tmp_path, arguments, words):
    """Oracle: status 2, one line, nothing written."""
    code, out = call(EXPORT, bank, *arguments, '--format', 'onnx', '--out',
                     tmp_path)
    line = out.strip().splitlines()[-1]
    assert code == 2 and line.startswith('error: ') and words in line
    assert not list(tmp_path.iterdir())


def test_banks_are_not_written_over(call, bank):
    """Oracle: status 2, one line, the bank unchanged."""
    before = {path: path.read_bytes() for path in bank.iterdir()}
    code, out = call(EXPORT, bank, '--all', '--format', 'torchscript', '--out',
                     bank)
    assert code == 2 and 'expected another name' in \
        out.strip().splitlines()[-1]
    assert {path: path.read_bytes() for path in bank.iterdir()} == before


def test_bad_banks_end_in_one_line(call, small, work, tiny_fashion_mnist,
                                   tmp_path):
    """Oracle: status 2 and the folder, for a bank that does not exist and for a
    folder that holds something else."""
    code, out = call(EXPORT, tmp_path / 'x', '--all', '--format', 'onnx',
                     '--out', tmp_path)
    assert code == 2 and 'x: no such folder' in out.strip().splitlines()[-1]
    (tmp_path / 'mine').write_text('kept')
    code, out = call(BUILD, small, work / 'epoch_1.pth', '--out', tmp_path,
                     '--work-dir', tmp_path / 'work',
                     *options(tiny_fashion_mnist, False,
                              27), 'test_cfg.candidates=1')
    assert code == 2 and 'other than a bank' in out.strip().splitlines()[-1]
    assert (tmp_path / 'mine').read_text() == 'kept'
