import dataclasses
import json
import os

import pytest
import torch

from pss.deploy import bank_folder, read_bank, write_bank
from pss.errors import InputError

from ..building import random_bank


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
    """Oracle: 1.25 times the weights, for MobileNetV2 with 22 pools. The
    resolution is smaller than the paper's; the statistics are as large."""
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


@pytest.mark.parametrize('value, words', [(float('nan'), 'not finite'),
                                          (float('inf'), 'not finite')])
def test_weights_that_are_not_finite(tmp_path, value, words):
    """Oracle: the tensor's name in the message; nothing is written."""
    _, contents = random_bank(0)
    key = next(iter(contents.weights))
    contents.weights[key] = contents.weights[key].clone().fill_(value)
    with pytest.raises(InputError, match=f'{key}.*{words}'):
        write_bank(contents, tmp_path / 'bank')
    assert not (tmp_path / 'bank').exists()


def test_negative_variances(tmp_path):
    """Oracle: an error; scores would be NaN."""
    _, contents = random_bank(0)
    for statistics in contents.statistics.values():
        mean, var = next(iter(statistics.values()))
        var.fill_(-1)
    with pytest.raises(InputError, match='a variance of at least 0'):
        write_bank(contents, tmp_path / 'bank')


def test_replacing_a_bank(tmp_path, monkeypatch):
    """Oracle: the new bank; after a crash while it is written, the old one; and
    the new one also where folders cannot be exchanged in one step."""
    _, bank = random_bank()
    other = dataclasses.replace(bank, metric='other')
    folder = tmp_path / 'bank'
    write_bank(bank, folder)
    write_bank(other, folder)
    assert read_bank(folder).metric == 'other'

    def crash(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bank_folder, '_exchange', crash)
        with pytest.raises(KeyboardInterrupt):
            write_bank(bank, folder)
    assert read_bank(folder).metric == 'other'
    with monkeypatch.context() as patch:
        patch.setattr(bank_folder.ctypes, 'CDLL', lambda name: None)
        write_bank(bank, folder)
    assert read_bank(folder).metric == 'top1'
    assert os.listdir(tmp_path) == ['bank']


def test_other_folders_are_not_replaced(tmp_path):
    """Oracle: the user's files, unchanged."""
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
    with pytest.raises(InputError, match='holds something other than a bank'):
        write_bank(random_bank()[1], tmp_path)
    assert (tmp_path / 'mine.txt').read_text() == 'kept'
    with pytest.raises(InputError, match='no such folder'):
        read_bank(tmp_path / 'nowhere')
    with pytest.raises(InputError, match='bank.json is missing'):
        read_bank(tmp_path)
