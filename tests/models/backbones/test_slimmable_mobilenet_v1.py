import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pss.errors import InputError
from pss.models import SlimmableMobileNetV1


def plain_mobilenet(widths):
    """MobileNetV1 written out with torch's layers, at any widths."""

    def conv(c_in, c_out, kernel, stride, groups=1):
        return [
            nn.Conv2d(
                c_in,
                c_out,
                kernel,
                stride,
                kernel // 2,
                groups=groups,
                bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU6()
        ]

    layers = conv(3, widths[0], 3, 2)
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    for c_in, c_out, stride in zip(widths, widths[1:], strides):
        layers += conv(c_in, c_in, 3, stride, c_in)
        layers += conv(c_in, c_out, 1, 1)
    return nn.Sequential(*layers)


def copy_weights(ours, plain):
    """Gives the plain network the first entries of every parameter."""
    sources = list(ours.state_dict().values())
    for value, source in zip(plain.state_dict().values(), sources):
        value.copy_(source[tuple(
            slice(n) for n in value.shape)] if value.dim() else source)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('seed', [None, 0, 1])
def test_subnets_equal_plain_networks(training, seed):
    """Oracle: the network written out by hand with sliced weights; the
    largest (None) and two random subnets."""
    import numpy as np
    torch.manual_seed(0)
    ours = SlimmableMobileNetV1()
    for name, buffer in ours.named_buffers():
        if name.endswith('running_var'):
            buffer.uniform_(0.5, 1.5)
    space = ours.search_space
    subnet = space.largest if seed is None else space.decode(
        space.random(np.random.default_rng(seed), 1))[0]
    ours.switch_to(subnet)
    plain = plain_mobilenet(subnet.widths)
    copy_weights(ours, plain)
    ours.train(training), plain.train(training)
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(x)[0], plain(x))


def test_space():
    """Oracle: SPEC: 14 independent widths, about 4e15 subnets."""
    space = SlimmableMobileNetV1().search_space
    assert space.largest.widths == (32, 64, 128, 128, 256, 256, *[512] * 6,
                                    1024, 1024)
    assert 4e15 < space.size < 5e15


def test_arguments_of_mmpretrains_backbones():
    """Oracle: what they mean in mmpretrain's MobileNetV2."""
    model = SlimmableMobileNetV1(out_indices=range(5))
    shapes = [tuple(f.shape[1:]) for f in model(torch.zeros(1, 3, 224, 224))]
    assert shapes == [(64, 112, 112), (128, 56, 56), (256, 28, 28),
                      (512, 14, 14), (1024, 7, 7)]
    model = SlimmableMobileNetV1(frozen_stages=2)
    model.train()
    frozen = [model.conv1, model.layer1, model.layer2]
    assert not any(p.requires_grad for m in frozen for p in m.parameters())
    assert all(p.requires_grad for p in model.layer3.parameters())
    assert not any(m.training for f in frozen for m in f.modules())
    model = SlimmableMobileNetV1(norm_eval=True)
    model.train()
    assert not any(m.training
                   for m in model.modules() if isinstance(m, _BatchNorm))
    half = SlimmableMobileNetV1(widen_factor=0.5)
    assert half(torch.zeros(1, 3, 64, 64))[0].shape[1] == 512
    with pytest.raises(ValueError, match='out_indices'):
        SlimmableMobileNetV1(out_indices=[5])
    with pytest.raises(ValueError, match='frozen_stages'):
        SlimmableMobileNetV1(frozen_stages=6)
    with pytest.raises(InputError, match="'LN'"):
        SlimmableMobileNetV1(norm_cfg=dict(type='LN'))


def test_with_cp():
    """Oracle: the gradients without checkpointing, at a narrow subnet."""
    torch.manual_seed(0)
    plain = SlimmableMobileNetV1()
    saving = SlimmableMobileNetV1(with_cp=True)
    saving.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 32, 32)
    for model in (plain, saving):
        model.switch_to(model.search_space.smallest)
        model.train()
        model(x.clone().requires_grad_())[0].sum().backward()
    for a, b in zip(plain.parameters(), saving.parameters()):
        torch.testing.assert_close(a.grad, b.grad)
