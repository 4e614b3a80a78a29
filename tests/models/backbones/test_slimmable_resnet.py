import numpy as np
import pytest
import torch
from mmpretrain.models import ResNet, ResNetV1c, ResNetV1d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pss.errors import InputError
from pss.models import SlimmableResNet


def twins(theirs, **kwargs):
    """mmpretrain's network and ours with its state dict."""
    torch.manual_seed(0)
    theirs = theirs(**kwargs)
    theirs.init_weights()
    extra = dict(deep_stem=theirs.deep_stem, avg_down=theirs.avg_down)
    ours = SlimmableResNet(**kwargs, **extra)
    for name, value in theirs.state_dict().items():
        if name.endswith('running_var') or 'bn' in name and 'weight' in name:
            value.uniform_(0.5, 1.5)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


@pytest.mark.parametrize('kind, kwargs', [
    (ResNet, dict(depth=50, out_indices=(0, 1, 2, 3))),
    (ResNet, dict(depth=18)),
    (ResNet,
     dict(
         depth=34,
         num_stages=2,
         strides=(1, 2),
         dilations=(1, 1),
         out_indices=(1, ))),
    (ResNet, dict(depth=50, style='caffe', base_channels=32, stem_channels=32)),
    (ResNet, dict(depth=50, norm_cfg=dict(type='GN', num_groups=8))),
    (ResNet, dict(depth=50, dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1))),
    (ResNetV1c, dict(depth=50)),
    (ResNetV1d, dict(depth=101)),
    (ResNetV1d, dict(depth=152)),
])
def test_largest_equals_mmpretrain(kind, kwargs):
    """Oracle: mmpretrain's ResNet with the same state dict, bit by bit, in
    training and in evaluation; and the way back."""
    theirs, ours = twins(kind, **kwargs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    for training in (True, False):
        theirs.train(training), ours.train(training)
        for a, b in zip(theirs(x), ours(x)):
            assert torch.equal(a, b)
    for (name, a), b in zip(theirs.state_dict().items(),
                            ours.state_dict().values()):
        assert torch.equal(a, b), name
    theirs.load_state_dict(ours.state_dict(), strict=True)


def test_space_of_resnet_50():
    """Oracle: SPEC: stem, 4 outputs, 16 inner widths."""
    space = SlimmableResNet(depth=50).search_space
    assert space.largest.widths == (64, 256, 512, 1024, 2048, *[64] * 3,
                                    *[128] * 4, *[256] * 6, *[512] * 3)


def test_space_of_resnet_18():
    """Oracle: by hand: stem and first stage are tied by a plain shortcut."""
    space = SlimmableResNet(depth=18).search_space
    assert space.largest.widths == (64, 128, 256, 512, *[64] * 2, *[128] * 2,
                                    *[256] * 2, *[512] * 2)


def resnet_by_hand(state, widths, x):
    """ResNet-50 in evaluation mode, written out as a function."""
    f = nn.functional
    stem, outs, inner = widths[0], widths[1:5], list(widths[5:])

    def unit(x, conv, bn, c_out, **kwargs):
        x = f.conv2d(x, state[f'{conv}.weight'][:c_out, :x.shape[1]], **kwargs)
        return f.batch_norm(
            x,
            *(state[f'{bn}.{k}'][:c_out]
              for k in ('running_mean', 'running_var', 'weight', 'bias')))

    x = f.relu(unit(x, 'conv1', 'bn1', stem, stride=2, padding=3))
    x = f.max_pool2d(x, 3, 2, 1)
    for stage, (out, blocks) in enumerate(zip(outs, (3, 4, 6, 3)), start=1):
        for block in range(blocks):
            name = f'layer{stage}.{block}'
            width = inner.pop(0)
            stride = 2 if block == 0 and stage > 1 else 1
            shortcut = x if block else unit(
                x,
                f'{name}.downsample.0',
                f'{name}.downsample.1',
                out,
                stride=stride)
            y = f.relu(unit(x, f'{name}.conv1', f'{name}.bn1', width))
            y = f.relu(
                unit(
                    y,
                    f'{name}.conv2',
                    f'{name}.bn2',
                    width,
                    stride=stride,
                    padding=1))
            y = unit(y, f'{name}.conv3', f'{name}.bn3', out)
            x = f.relu(y + shortcut)
    return x


@pytest.mark.parametrize('seed', [0, 1])
def test_subnets_equal_plain_networks(seed):
    """Oracle: ResNet-50 written out with sliced weights."""
    _, ours = twins(ResNet, depth=50)
    ours.eval()
    space = ours.search_space
    subnet = space.decode(space.random(np.random.default_rng(seed), 1))[0]
    ours.switch_to(subnet)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = resnet_by_hand(ours.state_dict(), subnet.widths, x)
        torch.testing.assert_close(ours(x)[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('kwargs', [
    dict(depth=18),
    dict(depth=34),
    dict(depth=50, deep_stem=True, avg_down=True)
])
def test_smallest_of_other_depths_runs(kwargs):
    """Oracle: channels of the smallest subnet's last stage; gradients reach
    every parameter."""
    model = SlimmableResNet(zero_init_residual=False, **kwargs)
    model.switch_to(model.search_space.smallest)
    out = model(torch.randn(2, 3, 64, 64))[0]
    assert out.shape[1] == int(model.feat_dim * 0.75)
    out.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_arguments_of_mmpretrain():
    """Oracle: what they mean in mmpretrain's ResNet."""
    model = SlimmableResNet(depth=50, frozen_stages=1)
    model.train()
    for module in (model.conv1, model.bn1, model.layer1):
        assert not any(p.requires_grad for p in module.parameters())
    assert all(p.requires_grad for p in model.layer2.parameters())
    model = SlimmableResNet(depth=18, norm_eval=True)
    model.train()
    assert not any(m.training
                   for m in model.modules() if isinstance(m, _BatchNorm))
    model = SlimmableResNet(depth=50)
    model.init_weights()
    assert not model.layer1[0].bn3.weight.any()  # zero_init_residual
    with pytest.raises(KeyError, match='invalid depth'):
        SlimmableResNet(depth=20)
    with pytest.raises(AssertionError):
        SlimmableResNet(depth=50, num_stages=5)
    with pytest.raises(InputError, match="'DCN'"):
        SlimmableResNet(depth=50, conv_cfg=dict(type='DCN'))


def test_with_cp():
    """Oracle: the gradients without checkpointing, at a narrow subnet."""
    _, plain = twins(ResNet, depth=18)
    _, saving = twins(ResNet, depth=18, with_cp=True)
    x = torch.randn(2, 3, 32, 32)
    for model in (plain, saving):
        model.switch_to(model.search_space.smallest)
        model.train()
        model(x.clone().requires_grad_())[0].sum().backward()
    for a, b in zip(plain.parameters(), saving.parameters()):
        torch.testing.assert_close(a.grad, b.grad)
