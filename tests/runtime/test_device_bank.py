"""Device banks that are missing, broken or somebody else's."""

import json
import shutil

import pytest

from pss.deploy.bank_format import digest
from pss.errors import InputError
from pss.runtime import AdaptiveSession, read_device_bank
from pss.runtime.preprocessing import Preprocessing


@pytest.fixture
def copy(both_banks, tmp_path):
    """A device bank to change."""
    return shutil.copytree(both_banks[1], tmp_path / 'bank')


def rewrite(folder, change):
    """Changes bank.json and gives it the right checksum."""
    value = json.loads((folder / 'bank.json').read_text())
    change(value)
    value['sha256'] = 64 * '0'
    text = json.dumps(value)
    (folder / 'bank.json').write_text(
        text.replace(64 * '0', digest(text.encode())))


def test_checksums_of_all_files(copy):
    """Oracle: one byte of each file is changed, or the last one is missing."""
    for path in sorted(copy.iterdir()):
        content = path.read_bytes()
        for place in (0, len(content) // 2, len(content) - 1):
            changed = bytearray(content)
            changed[place] ^= 1
            path.write_bytes(bytes(changed))
            with pytest.raises(InputError, match=f'{path.name}.*'):
                AdaptiveSession(copy)
        path.write_bytes(content[:-1])
        with pytest.raises(InputError, match=f'{path.name}: (truncated|alt)'):
            read_device_bank(copy)
        path.unlink()
        with pytest.raises(InputError, match=f'{path.name} cannot be read'):
            read_device_bank(copy)
        path.write_bytes(content)
    read_device_bank(copy)


@pytest.mark.parametrize('change, words', [
    (lambda v: v.update(version=2), 'version=2: expected 1; a newer one'),
    (lambda v: v.update(version='x'), "version='x': expected 1"),
    (lambda v: v.update(format='pss-bank'), "format='pss-bank': expected"),
    (lambda v: v.pop('format'), 'format=None: expected'),
    (lambda v: v.pop('subnets'), "not as .*KeyError: 'subnets'"),
    (lambda v: v.update(subnets=[]), 'not as .*there is no subnet'),
    (lambda v: v['subnets'][0].pop('costs'), 'not as .*costs'),
    (lambda v: v['subnets'][0].update(extra=1), 'not as .*extra'),
    (lambda v: v['subnets'][0].update(held_out_accuracy='x'), 'not as .*'),
    (lambda v: v.update(files=[]), 'not as .*AttributeError'),
    (lambda v: v['files'].update({'../x': dict(bytes=0, sha256='')}),
     'not as .*x'),
    (lambda v: v['files'].update({'..': dict(bytes=0, sha256='')}),
     'cannot be read'),
    (lambda v: v['subnets'][0].update(file='../a.onnx'),
     "'../a.onnx': not one of its files"),
])
def test_indexes_of_others(copy, change, words):
    """Oracle: the message names the field. The checksums are right."""
    rewrite(copy, change)
    with pytest.raises(InputError, match=words):
        read_device_bank(copy)


@pytest.mark.parametrize('text', ['', '[]', 'null', '{"a": 1', '[' * 100_000])
def test_other_files(copy, text):
    """Oracle: one line that names the file."""
    (copy / 'bank.json').write_text(text)
    with pytest.raises(InputError, match='bank.json: ') as caught:
        read_device_bank(copy)
    assert len(str(caught.value).splitlines()) == 1


def test_named_pipes_are_not_waited_for(copy, tmp_path):
    """Oracle: an error instead of a hang."""
    import os
    (copy / 'weights.bin').unlink()
    os.mkfifo(copy / 'weights.bin')
    with pytest.raises(InputError, match='weights.bin cannot be read'):
        read_device_bank(copy)
    net = Preprocessing(
        dict(steps=[], to_rgb=False, mean=[0], std=[1]), (1, 2, 2))
    with pytest.raises(InputError, match='cannot be read as an image'):
        net(str(copy / 'weights.bin'))


def test_no_folder(tmp_path, bank):
    """Oracle: the message; a bank for PyTorch is another kind."""
    for folder in (tmp_path / 'x', tmp_path):
        with pytest.raises(InputError, match='bank.json cannot be read'):
            AdaptiveSession(folder)
    with pytest.raises(InputError, match="format='pss-bank': expected 'pss-"):
        AdaptiveSession(bank)


def test_a_graph_that_onnxruntime_refuses(copy):
    """Oracle: the message names the file."""
    value = json.loads((copy / 'bank.json').read_text())
    name = value['subnets'][-1]['file']
    (copy / name).write_bytes(b'no graph')
    rewrite(
        copy, lambda v: v['files'].update(
            {name: dict(bytes=8, sha256=digest(b'no graph'))}))
    with pytest.raises(InputError, match='.onnx: onnxruntime .* cannot run it'):
        net = AdaptiveSession(copy)  # another one may be the most accurate
        net.switch(value['subnets'][-1]['name'])


@pytest.mark.parametrize('options, words', [
    (dict(keep=0), 'keep=0: expected an integer of at least 1'),
    (dict(threads=0), 'threads=0'),
    (dict(threads=1.5), 'threads=1.5'),
])
def test_bad_options(both_banks, options, words):
    """Oracle: the message names the option."""
    with pytest.raises(InputError, match=words):
        AdaptiveSession(both_banks[1], **options)
