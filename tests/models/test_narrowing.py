import copy

import pytest
import torch
from torch import nn

from pss.models import (
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    SlimmableGroupNorm,
    SlimmableLinear,
    narrow,
)


@pytest.mark.parametrize('norm', [
    SlimmableBatchNorm2d(16),
    SlimmableBatchNorm2d(16, affine=False),
    SlimmableBatchNorm2d(16, track_running_stats=False),
    SlimmableGroupNorm(16, 4),
])
def test_computes_the_same(norm):
    """Oracle: the slimmable layers at the same widths; layers are plain, as
    narrow as that, and modes are kept."""
    torch.manual_seed(0)
    first = SlimmableConv2d(3, 16, 3, padding=1, padding_mode='reflect')
    wide = nn.Sequential(first, copy.deepcopy(norm),
                         SlimmableConv2d(16, 16, 3, groups=16, bias=False),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         SlimmableLinear(16, 5))
    first.active_out_channels = 8
    if isinstance(norm, SlimmableBatchNorm2d) and norm.track_running_stats:
        wide[1].statistics = torch.randn(8), torch.rand(8) + 0.5
    wide[1].eval()
    plain = copy.deepcopy(wide)
    images = torch.randn(2, 3, 8, 8)
    narrow(plain, images)
    assert [type(m) for m in (plain[0], plain[2], plain[5])
            ] == [nn.Conv2d, nn.Conv2d, nn.Linear]
    assert type(plain[1]) in (nn.BatchNorm2d, nn.GroupNorm)
    assert plain[0].weight.shape == (8, 3, 3, 3)
    assert plain[2].groups == plain[5].in_features == 8
    assert [m.training for m in plain] == [m.training for m in wide]
    torch.testing.assert_close(plain(images), wide(images))
    assert type(wide[0]) is SlimmableConv2d


def test_run_is_called_instead():
    """Oracle: only the layer that ran is plain."""
    model = nn.ModuleList([SlimmableLinear(4, 4), SlimmableLinear(4, 4)])
    narrow(model, torch.ones(1, 3), run=model[1])
    assert [type(m) for m in model] == [SlimmableLinear, nn.Linear]
    assert model[1].in_features == 3
