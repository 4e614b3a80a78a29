import copy

import pytest
import torch
from torch import nn

from pss.models import SlimmableBatchNorm2d, SlimmableGroupNorm

from .comparing import compare


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


def test_batch_norm_with_its_own_statistics():
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
