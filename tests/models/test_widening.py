import copy

import pytest
import torch
from torch import nn

from pss.errors import InputError
from pss.models import SlimmableBatchNorm2d, SlimmableConv2d, SlimmableLinear
from pss.models.widening import check_widths, make_slimmable


def neck():
    """Plain layers, one of them nested."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(8, 4, 3, stride=2, padding=1, bias=False),
        nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), nn.Flatten(),
        nn.Linear(64, 3))
    layers[1][0].running_mean.normal_()
    layers[1].eval()
    return layers


def test_computes_the_same():
    """Oracle: the plain layers; the parameters and the buffers are theirs."""
    plain = neck()
    wide = copy.deepcopy(plain)
    values = dict(wide.state_dict(keep_vars=True))
    make_slimmable(wide, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))
    kinds = [type(m) for m in (wide[0], wide[1][0], wide[3])]
    assert kinds == [SlimmableConv2d, SlimmableBatchNorm2d, SlimmableLinear]
    assert not wide[1][0].training and wide[3].training
    now = wide.state_dict(keep_vars=True)
    assert list(now) == list(values)
    assert all(now[name] is value for name, value in values.items())
    images = torch.randn(2, 8, 8, 8)
    torch.testing.assert_close(wide(images), plain(images))


def test_only_what_is_asked_for():
    """Oracle: the types of the other layers, and of a subclass."""

    class OtherLinear(nn.Linear):
        pass

    part = neck().append(OtherLinear(3, 3))
    make_slimmable(part, (nn.Linear, ))
    assert [type(part[i])
            for i in (0, 3, 4)] == [nn.Conv2d, SlimmableLinear, OtherLinear]


def test_a_narrow_input_at_full_width_is_refused(supernet):
    """Oracle: channels and reason in the message; the largest subnet is active
    and no hook is left."""
    check_widths(supernet, supernet, 'mine')
    space = supernet.search_space
    supernet.switch_to(space.smallest)
    supernet.head.fc.in_features = 2000
    with pytest.raises(
            InputError,
            match=r"mine cannot take the backbone's features, which have "
            r'\[1280\] channels \(in_channels=2000 .*, 1280 at full'):
        check_widths(supernet, supernet, 'mine')
    assert supernet.active_subnet == space.largest
    assert not any(m._forward_pre_hooks for m in supernet.modules())
