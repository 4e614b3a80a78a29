import pytest
import torch

from pss.errors import InputError
from pss.models import SlimmableMobileNetV1
from pss.models.backbones.loading import statistics_key


def subnets():
    """A wide backbone, one of its subnets, and that as a plain network."""
    torch.manual_seed(0)
    wide = SlimmableMobileNetV1()
    subnet = wide.search_space.smallest
    return wide, subnet, SlimmableMobileNetV1(subnet=subnet.as_dict())


def test_first_channels_of_wider_tensors():
    """Oracle: slices of the supernet's tensors."""
    wide, _, narrow = subnets()
    state = wide.state_dict()
    narrow.load_state_dict(state)
    for name, value in narrow.state_dict().items():
        part = wide.state_dict()[name][tuple(map(slice, value.shape))]
        assert torch.equal(value, part), name


def test_statistics_of_the_subnet():
    """Oracle: the statistics under the subnet's key, not another one's; a
    supernet ignores both."""
    wide, subnet, narrow = subnets()
    norm, other = 'conv1.bn', wide.search_space.largest
    state = wide.state_dict()
    for value, kept in enumerate((subnet, other), start=2):
        state[statistics_key(kept, norm, 'running_mean')] = torch.full(
            (kept.widths[0], ), float(value))
    narrow.load_state_dict(dict(state))
    assert narrow.conv1.bn.running_mean.tolist() == [2.] * subnet.widths[0]
    wide.load_state_dict(dict(state))
    assert not wide.conv1.bn.running_mean.any()
    del state[statistics_key(subnet, norm, 'running_mean')]
    with pytest.raises(InputError, match='subnet: .*not in the bank.*224x32-'):
        narrow.load_state_dict(dict(state))


def test_another_architecture():
    """Oracle: the tensor and both shapes in the message."""
    _, _, narrow = subnets()
    state = dict(narrow.state_dict())
    state['conv1.conv.weight'] = torch.zeros(32, 3, 5, 5)
    with pytest.raises(
            InputError, match=r'conv1.conv.weight .*32, 3, 5, 5.*24, 3, 3, 3'):
        narrow.load_state_dict(state)
