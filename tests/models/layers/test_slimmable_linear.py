import pytest
import torch
from torch import nn

from pss.models import SlimmableLinear

from .comparing import compare


@pytest.mark.parametrize('features_in, features_out', [(12, 5), (7, 5), (7, 3)])
def test_linear(features_in, features_out):
    """Oracle: a plain narrow linear layer holding the copied weights."""
    torch.manual_seed(0)
    wide = SlimmableLinear(12, 5)
    wide.active_out_channels = features_out
    plain = nn.Linear(features_in, features_out)
    slices = dict(
        weight=(slice(features_out), slice(features_in)),
        bias=slice(features_out))
    plain.weight.data = wide.weight.data[slices['weight']].clone()
    plain.bias.data = wide.bias.data[:features_out].clone()
    compare(wide, plain, torch.randn(4, features_in), slices)
