import pickle
import zipfile

import pytest
import torch

from pss.checks import shown
from pss.engine.checkpoints import read_checkpoint_data
from pss.errors import InputError
from pss.pickles import check_operations


def nested(depth):
    """A dict whose key is a tuple that holds another one twice, and so on:
    hashing it takes 2 ** depth steps."""
    code = b'\x80\x02}K\x01K\x01\x86'
    for i in range(depth):
        code += b'q' + bytes([i]) + b'h' + bytes([i]) + b'\x86'
    return code + b'K\x01s.'


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_pickles_have(protocol):
    """Oracle: Python's own pickles of ordinary values, in every protocol."""
    value = {
        'a': [(1, (2, (3, ))), {
            'b': (4., None)
        }],
        (1, 2): 'x' * 300,
        'c': b'd',
        'e': {1, 2},
        'f': frozenset([3])
    }
    value['g'] = value['a']
    data = pickle.dumps(value, protocol)
    check_operations(data, len(data))


def test_what_would_take_for_ever():
    """Oracle: Python takes 2 ** 15 steps at once; 2 ** 60 would take years,
    which no signal interrupts."""
    assert len(pickle.loads(nested(14))) == 1
    check_operations(nested(14), 1000)
    with pytest.raises(pickle.UnpicklingError, match='nested tuples'):
        check_operations(nested(60), 1000)
    with pytest.raises(pickle.UnpicklingError, match='memo index'):
        check_operations(b'\x80\x02K\x01r\xff\xff\xff\x7f.', 10)


@pytest.mark.parametrize('old', [False, True])
def test_checkpoints(tmp_path, old):
    """Oracle: a file that torch wrote is read; with its pickle replaced it is
    refused before torch reads it."""
    path = tmp_path / 'a.pth'
    torch.save(
        dict(state_dict=dict(x=torch.ones(3)), meta=dict(iter=1)),
        path,
        _use_new_zipfile_serialization=not old)
    assert torch.equal(
        read_checkpoint_data(path)['state_dict']['x'], torch.ones(3))
    if old:
        path.write_bytes(nested(60))
    else:
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('a/data.pkl', nested(60))
            archive.writestr('a/version', '3\n')
    with pytest.raises(InputError, match='a.pth: .*nested tuples'):
        read_checkpoint_data(path)


def test_archives_of_two_directories(tmp_path):
    """Oracle: an archive in front of another: Python reads the second, whose
    entries are stored; torch follows the end record."""
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=dict(x=torch.ones(3))), path)
    whole = path.read_bytes()
    assert read_checkpoint_data(path)
    path.write_bytes(whole[:100] + whole)
    with pytest.raises(InputError, match='a.pth: '):
        read_checkpoint_data(path)
    path.write_bytes(whole + b'x')
    with pytest.raises(InputError, match='a.pth: '):
        read_checkpoint_data(path)


def test_shown_of_lists_without_end():
    """Oracle: 10 ** 12 entries of a list in a file of 2 kB; one short line."""
    value = ['x']
    for _ in range(12):
        value = [value] * 10
    text = shown(value)
    assert len(text) <= 80 and text.startswith('[[')
