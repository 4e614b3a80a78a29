from collections import OrderedDict

import pytest
import torch

from pss.engine.checkpoints import read_checkpoint
from pss.errors import InputError

from .conftest import save


def test_a_config_is_removed(tmp_path):
    """Oracle: the rest of meta and the layers' versions stay."""
    state = torch.nn.BatchNorm2d(3).state_dict()
    found = read_checkpoint(
        save(
            tmp_path / 'a.pth',
            state_dict=state,
            meta=dict(config='x = 1', epoch=3)))
    assert found['meta'] == dict(epoch=3)
    assert found['state_dict']._metadata == state._metadata
    state._metadata = OrderedDict(a=3)
    with pytest.raises(InputError, match='versions of the layers'):
        read_checkpoint(save(tmp_path / 'a.pth', state_dict=state))
    with pytest.raises(InputError, match="meta is 'x'; expected a dict"):
        read_checkpoint(save(tmp_path / 'a.pth', state_dict={}, meta='x'))
