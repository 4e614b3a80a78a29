import copy

import pytest
import torch
from torch import nn

from pss.models import (
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    SlimmableGroupNorm,
    SlimmableLinear,
)


def gradients_agree(wide, plain, slices):
    """Whether the plain layer's gradients are the slices of the wide one's."""
    for name, parameter in plain.named_parameters():
        gradient = getattr(wide, name).grad
        torch.testing.assert_close(gradient[slices[name]], parameter.grad)
        rest = gradient.clone()
        rest[slices[name]] = 0
        assert not rest.any()  # what is cut off gets no gradient


def compare(wide, plain, x, slices):
    """Forward and gradients of both, on the same input."""
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = wide(one), plain(two)
    torch.testing.assert_close(a, b)
    weight = torch.randn_like(a)
    (a * weight).sum().backward()
    (b * weight).sum().backward()
    torch.testing.assert_close(one.grad, two.grad)
    gradients_agree(wide, plain, slices)


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


@pytest.mark.parametrize('features_in, features_out', [(12, 5), (7, 5), (7, 3)])
def test_linear(features_in, features_out):
    """Oracle: a plain narrow linear layer holding the copied weights."""
    torch.manual_seed(0)
    wide = SlimmableLinear(12, 5)
    wide.active_out_features = features_out
    plain = nn.Linear(features_in, features_out)
    slices = dict(
        weight=(slice(features_out), slice(features_in)),
        bias=slice(features_out))
    plain.weight.data = wide.weight.data[slices['weight']].clone()
    plain.bias.data = wide.bias.data[:features_out].clone()
    compare(wide, plain, torch.randn(4, features_in), slices)


def norms(channels, **kwargs):
    """A wide batch norm and a plain narrow one holding its values."""
    torch.manual_seed(0)
    wide = SlimmableBatchNorm2d(16, **kwargs)
    if wide.affine:
        nn.init.normal_(wide.weight)
        nn.init.normal_(wide.bias)
    if wide.running_mean is not None:
        wide.running_mean.normal_()
        wide.running_var.uniform_(0.5, 2)
    plain = nn.BatchNorm2d(channels, **kwargs)
    for name, value in plain.state_dict().items():
        value.copy_(wide.state_dict()[name][:channels] if value.dim() else wide.
                    state_dict()[name])
    return wide, plain


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('channels', [16, 8])
@pytest.mark.parametrize('kwargs', [
    dict(),
    dict(momentum=None),
    dict(affine=False),
    dict(track_running_stats=False)
])
def test_batch_norm(training, channels, kwargs):
    """Oracle: a plain narrow batch norm; running statistics included."""
    wide, plain = norms(channels, **kwargs)
    wide.train(training), plain.train(training)
    slices = dict(weight=slice(channels), bias=slice(channels))
    compare(wide, plain, torch.randn(4, channels, 5, 5), slices)
    for name, buffer in plain.named_buffers():
        mine = getattr(wide, name)
        torch.testing.assert_close(mine[:channels] if buffer.dim() else mine,
                                   buffer)


def test_batch_norm_with_statistics_of_its_own():
    """Oracle: a plain batch norm with those statistics; buffers untouched."""
    wide, plain = norms(8)
    before = copy.deepcopy(dict(wide.named_buffers()))
    plain.running_mean.fill_(0.3)
    plain.running_var.fill_(2.)
    wide.statistics = (plain.running_mean.clone(), plain.running_var.clone())
    for training in (True, False):
        wide.train(training), plain.train(training)
        x = torch.randn(4, 8, 5, 5)
        torch.testing.assert_close(wide(x), plain(x))
    torch.testing.assert_close(wide.statistics[0], plain.running_mean)
    torch.testing.assert_close(wide.statistics[1], plain.running_var)
    for name, buffer in wide.named_buffers():
        assert torch.equal(buffer, before[name])


def test_batch_norm_that_does_not_track():
    """Oracle: batch statistics in training; buffers as they were."""
    wide, plain = norms(8)
    before = copy.deepcopy(dict(wide.named_buffers()))
    wide.track_running_stats = False
    x = torch.randn(4, 8, 5, 5)
    torch.testing.assert_close(wide.train()(x), plain.train()(x))
    for name, buffer in wide.named_buffers():
        assert torch.equal(buffer, before[name])


@pytest.mark.parametrize('channels', [16, 8])
def test_group_norm(channels):
    """Oracle: a plain narrow group norm with as many groups."""
    torch.manual_seed(0)
    wide = SlimmableGroupNorm(16, 4)
    nn.init.normal_(wide.weight)
    plain = nn.GroupNorm(4, channels)
    plain.weight.data = wide.weight.data[:channels].clone()
    compare(wide, plain, torch.randn(2, channels, 5, 5),
            dict(weight=slice(channels), bias=slice(channels)))
