import os
import pickle

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version

from pss.engine.checkpoints import check_checkpoint, read_checkpoint
from pss.errors import InputError

from .conftest import save


def test_good_checkpoint(tmp_path, supernet):
    """Oracle: what was saved; keys of a distributed wrapper too."""
    state = {f'module.{k}': v for k, v in supernet.state_dict().items()}
    path = save(tmp_path / 'a.pth', state_dict=state, pss_pools=[])
    found = check_checkpoint(path, supernet, pools=True)
    assert found['state_dict'].keys() == state.keys()


def test_other_architecture(tmp_path, supernet):
    """Oracle: the message names the keys that differ."""
    state = supernet.state_dict()
    state['head.fc.weight'] = torch.zeros(7, 1280)
    state['extra'] = state.pop('backbone.conv1.conv.weight')
    path = save(tmp_path / 'a.pth', state_dict=state)
    with pytest.raises(InputError) as error:
        check_checkpoint(path, supernet)
    message = str(error.value)
    for word in (str(path), '1 keys are missing: backbone.conv1.conv.weight',
                 '1 keys are unknown: extra',
                 'head.fc.weight ((7, 1280) instead of (10, 1280))'):
        assert word in message


def test_no_pools(tmp_path, supernet):
    """Oracle: the hook that would have written them, in the message."""
    path = save(tmp_path / 'a.pth', state_dict=supernet.state_dict())
    with pytest.raises(InputError, match='no pools.*PSSSamplerHook'):
        check_checkpoint(path, supernet, pools=True)


@pytest.mark.parametrize('share', [0, 0.01, 0.5, 0.999])
def test_truncated(tmp_path, supernet, share):
    """Oracle: the file's name, and what is wrong, in the message."""
    path = save(tmp_path / 'a.pth', state_dict=supernet.state_dict())
    data = path.read_bytes()
    path.write_bytes(data[:int(len(data) * share)])
    with pytest.raises(InputError, match='a.pth.*damaged'):
        read_checkpoint(path)


def test_not_there_and_without_weights(tmp_path):
    """Oracle: the file's name in the message."""
    with pytest.raises(InputError, match='b.pth: no such file'):
        read_checkpoint(tmp_path / 'b.pth')
    with pytest.raises(InputError, match='no state_dict'):
        read_checkpoint(save(tmp_path / 'a.pth', weights=1))


class Malicious:

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path), )


def test_nothing_is_executed(tmp_path):
    """Oracle: the folder that the pickle would create."""
    victim = tmp_path / 'victim'
    path = save(tmp_path / 'a.pth', state_dict={}, x=Malicious(victim))
    with pytest.raises(InputError, match='more than data'):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Malicious(victim)))
    with pytest.raises(InputError):
        read_checkpoint(path)
    assert not victim.exists()


def test_checkpoints_of_plain_mmengine(tmp_path):
    """Oracle: a checkpoint with a HistoryBuffer, as MMEngine writes it."""
    path = save(
        tmp_path / 'a.pth',
        state_dict={},
        message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1.], [1]))))
    with pytest.raises(InputError, match='plain MMEngine.*load_from'):
        read_checkpoint(path)


KEY = 'head.fc.weight'
# torch 2.1 does not even read a quantised tensor
UNREAD = '' if digit_version(
    torch.__version__) >= digit_version('2.6') else '|_rebuild_qtensor'


@pytest.mark.parametrize('value, words', [
    (torch.zeros(10, 1280, device='meta'), f'{KEY} is a tensor without values'),
    (torch.zeros(10, 1280).to_sparse(), f'{KEY} is a tensor of layout'),
    (torch.quantize_per_tensor(torch.zeros(10, 1280), 1., 0,
                               torch.qint8), f'{KEY} is a quantised{UNREAD}'),
    ([1.], f'{KEY} is a list; expected a dense tensor'),
    ('text', f'{KEY} is a str'),
    (torch.full((10, 1280), float('nan')), f'{KEY} is not finite'),
    (torch.full((10, 1280), 1e39, dtype=float), f'{KEY} is not finite'),
    (torch.zeros(10, 1280).int(), f'another kind of number: {KEY}'),
    (torch.zeros(1).expand(10**6, 10**9), 'share their values'),
])
def test_values(tmp_path, supernet, value, words):
    """Oracle: the key, in one line."""
    state = {**supernet.state_dict(), KEY: value}
    path = save(tmp_path / 'a.pth', state_dict=state)
    with pytest.raises(InputError, match=words) as error:
        check_checkpoint(path, supernet)
    assert '\n' not in str(error.value) and str(path) in str(error.value)
