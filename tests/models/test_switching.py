import pytest
import torch

from pss.errors import InputError
from pss.structures import Subnet

from ..conftest import batch


def test_only_the_largest_updates_running_statistics(supernet):
    """Oracle: the state dict before and after."""
    supernet.train()
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    space = supernet.search_space
    for subnet in (space.smallest, Subnet(24, space.largest.widths)):
        supernet.switch_to(subnet)
        supernet(**batch(), mode='pass')
    assert all(
        torch.equal(v, before[k]) for k, v in supernet.state_dict().items())
    supernet.switch_to(space.largest)
    supernet(**batch(), mode='pass')
    assert not torch.equal(before['backbone.conv1.bn.running_mean'],
                           supernet.backbone.conv1.bn.running_mean)


def test_switching_to_an_unknown_subnet(supernet):
    """Oracle: the field in the message, and the active subnet before."""
    active = supernet.active_subnet
    with pytest.raises(InputError, match='resolution=64'):
        supernet.switch_to(Subnet(64, active.widths))
    assert supernet.active_subnet == active
