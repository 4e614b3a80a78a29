import pytest
import torch
from torch import nn

from pss.models import SlimmableConv2d

from .comparing import compare


@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('padding_mode', ['zeros', 'reflect'])
@pytest.mark.parametrize('channels_in, channels_out', [(16, 24), (8, 16),
                                                       (16, 8)])
def test_convolution(bias, padding_mode, channels_in, channels_out):
    """Oracle: a plain narrow convolution holding the copied weights."""
    torch.manual_seed(0)
    wide = SlimmableConv2d(
        16, 24, 3, stride=2, padding=1, bias=bias, padding_mode=padding_mode)
    wide.active_out_channels = channels_out
    plain = nn.Conv2d(
        channels_in,
        channels_out,
        3,
        stride=2,
        padding=1,
        bias=bias,
        padding_mode=padding_mode)
    slices = dict(
        weight=(slice(channels_out), slice(channels_in)),
        bias=slice(channels_out))
    plain.weight.data = wide.weight.data[slices['weight']].clone()
    if bias:
        plain.bias.data = wide.bias.data[:channels_out].clone()
    compare(wide, plain, torch.randn(2, channels_in, 9, 9), slices)


@pytest.mark.parametrize('channels', [16, 8])
def test_depthwise_convolution(channels):
    """Oracle: a plain narrow depthwise convolution with copied weights."""
    torch.manual_seed(0)
    wide = SlimmableConv2d(16, 16, 3, padding=1, groups=16, bias=False)
    plain = nn.Conv2d(
        channels, channels, 3, padding=1, groups=channels, bias=False)
    plain.weight.data = wide.weight.data[:channels].clone()
    compare(wide, plain, torch.randn(2, channels, 6, 6),
            dict(weight=slice(channels)))
