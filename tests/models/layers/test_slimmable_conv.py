import copy

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


@pytest.mark.parametrize('padding', [0, 'valid'])
@pytest.mark.parametrize('channels_in', [3, 4, 6, 8, 12, 15])
def test_pointwise_convolution_with_a_stride(channels_in, padding):
    """Gradients channels last, which oneDNN gets wrong for few channels (its
    issue 6035). Oracle: the same in double precision, which it has no kernel
    for."""
    torch.manual_seed(0)
    conv = SlimmableConv2d(
        16, 8, 1, stride=2, padding=padding,
        bias=False).to(memory_format=torch.channels_last)
    exact = copy.deepcopy(conv).double()
    x = torch.randn(4, channels_in, 14, 14)
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    exact_x = x.detach().double().requires_grad_()
    y, exact_y = conv(x), exact(exact_x)
    y.square().sum().backward()
    exact_y.square().sum().backward()
    for value, oracle in ((y, exact_y), (x.grad, exact_x.grad),
                          (conv.weight.grad, exact.weight.grad)):
        torch.testing.assert_close(value.double(), oracle, rtol=1e-4, atol=1e-4)
