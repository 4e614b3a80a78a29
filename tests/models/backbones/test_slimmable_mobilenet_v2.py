import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.registry import MODELS
from torch import nn
from torch.nn.modules import GroupNorm
from torch.nn.modules.batchnorm import _BatchNorm

from pss.errors import InputError
from pss.models import SlimmableMobileNetV2
from pss.structures import Subnet

from mmpretrain.models.backbones.mobilenet_v2 import (  # isort: skip
    InvertedResidual, MobileNetV2)


def twins(**kwargs):
    """mmpretrain's network and ours with its state dict."""
    torch.manual_seed(0)
    theirs = MobileNetV2(**kwargs)
    theirs.init_weights()
    ours = SlimmableMobileNetV2(**kwargs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


@pytest.mark.parametrize('kwargs', [
    dict(),
    dict(widen_factor=0.5, out_indices=range(8)),
    dict(widen_factor=2.0, out_indices=(1, 3, 5)),
    dict(norm_cfg=dict(type='GN', num_groups=2), out_indices=(0, 6)),
    dict(act_cfg=dict(type='ReLU'), norm_cfg=dict(type='BN', eps=1e-3)),
])
@pytest.mark.parametrize('training', [True, False])
def test_largest_equals_mmpretrain(kwargs, training):
    """Oracle: mmpretrain's MobileNetV2 with the same state dict, bit by bit.

    Running statistics after a training pass, and the way back, included.
    """
    theirs, ours = twins(**kwargs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.train(training), ours.train(training)
    x = torch.randn(2, 3, 64, 64)
    expected, found = theirs(x), ours(x)
    assert len(expected) == len(found)
    for a, b in zip(expected, found):
        assert torch.equal(a, b)
    for (name, a), b in zip(theirs.state_dict().items(),
                            ours.state_dict().values()):
        assert torch.equal(a, b), name
    theirs.load_state_dict(ours.state_dict(), strict=True)


def plain_twin(ours, subnet):
    """A plain network of a subnet's widths, holding its weights.

    Written out by hand: mmpretrain's class cannot be built so narrow.
    """
    stem, *stages = subnet.widths
    layers, channels = [], stem

    def unit(source, c_in, c_out, groups=1, act=True):
        conv, bn = source.conv, source.bn
        new = ConvModule(
            c_in,
            c_out,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            groups=groups,
            norm_cfg=dict(type='BN'),
            act_cfg=dict(type='ReLU6') if act else None)
        new.conv.weight.data = conv.weight.data[:c_out, :c_in // groups]
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            getattr(new.bn, name).data = getattr(bn, name).data[:c_out]
        return new

    class Block(nn.Module):

        def __init__(self, convs, shortcut):
            super().__init__()
            self.convs, self.shortcut = nn.Sequential(*convs), shortcut

        def forward(self, x):
            return x + self.convs(x) if self.shortcut else self.convs(x)

    layers.append(unit(ours.conv1, 3, stem))
    for i, width in enumerate(stages, start=1):
        for j, block in enumerate(getattr(ours, f'layer{i}')):
            convs = list(block.conv)
            hidden = channels * (6 if len(convs) == 3 else 1)
            parts = []
            if len(convs) == 3:
                parts.append(unit(convs[0], channels, hidden))
            parts.append(unit(convs[-2], hidden, hidden, hidden))
            parts.append(unit(convs[-1], hidden, width, act=False))
            layers.append(Block(parts, j > 0))
            channels = width
    layers.append(unit(ours.conv2, channels, 1280))
    return nn.Sequential(*layers)


@pytest.mark.parametrize('position', [0, 13, 27, 41_183])
@pytest.mark.parametrize('training', [True, False])
def test_subnets_equal_plain_networks(position, training):
    """Oracle: a plain network written out by hand with sliced weights."""
    _, ours = twins()
    for name, buffer in ours.named_buffers():
        if name.endswith('running_var'):
            buffer.uniform_(0.5, 1.5)
    space = ours.search_space
    subnet = space.decode(space.enumerate()[[position]])[0]
    ours.switch_to(subnet)
    plain = plain_twin(ours, subnet)
    ours.train(training), plain.train(training)
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(x)[0], plain(x))


def test_frozen_stages():
    """Oracle: as in mmpretrain: no gradient, evaluation mode."""
    model = SlimmableMobileNetV2(frozen_stages=2)
    model.train()
    frozen = [model.conv1, model.layer1, model.layer2]
    assert not any(p.requires_grad for m in frozen for p in m.parameters())
    assert all(p.requires_grad for p in model.layer3.parameters())
    for stage in frozen[1:]:
        assert not any(m.training
                       for m in stage.modules() if isinstance(m, _BatchNorm))
    with pytest.raises(ValueError, match='frozen_stages'):
        SlimmableMobileNetV2(frozen_stages=8)


def test_norm_eval():
    """Oracle: as in mmpretrain: batch norms stay in evaluation mode."""
    model = SlimmableMobileNetV2(norm_eval=True)
    model.train()
    assert not any(m.training
                   for m in model.modules() if isinstance(m, _BatchNorm))
    assert model.training


def test_out_indices():
    """Oracle: shapes of mmpretrain's stages at 224."""
    model = SlimmableMobileNetV2(out_indices=range(8))
    shapes = [tuple(f.shape[1:]) for f in model(torch.zeros(1, 3, 224, 224))]
    assert shapes == [(16, 112, 112), (24, 56, 56), (32, 28, 28), (64, 14, 14),
                      (96, 14, 14), (160, 7, 7), (320, 7, 7), (1280, 7, 7)]
    with pytest.raises(ValueError, match='out_indices'):
        SlimmableMobileNetV2(out_indices=[8])


def test_with_cp():
    """Oracle: the gradients without checkpointing, at a narrow subnet."""
    _, plain = twins()
    _, checkpointed = twins(with_cp=True)
    assert all(m.with_cp for m in checkpointed.modules()
               if isinstance(m, InvertedResidual))
    x = torch.randn(2, 3, 32, 32)
    for model in (plain, checkpointed):
        model.switch_to(model.search_space.smallest)
        model.train()
        model(x.clone().requires_grad_())[0].sum().backward()
    for a, b in zip(plain.parameters(), checkpointed.parameters()):
        torch.testing.assert_close(a.grad, b.grad)


def test_init_cfg():
    """Oracle: constants given for each of the layer names of mmpretrain."""
    model = SlimmableMobileNetV2(init_cfg=[
        dict(type='Constant', val=2, layer='Conv2d'),
        dict(type='Constant', val=3, layer='_BatchNorm')
    ])
    model.init_weights()
    # ConvModules initialise themselves where no outer init_cfg reaches
    assert (model.layer3[0].conv[1].conv.weight == 2).all()
    assert (model.layer3[0].conv[1].bn.weight == 3).all()


def test_pretrained(tmp_path):
    """Oracle: the weights of mmpretrain's network in the file."""
    theirs = MobileNetV2()
    theirs.init_weights()
    path = tmp_path / 'mobilenet_v2.pth'
    torch.save(
        dict(state_dict={
            f'backbone.{k}': v
            for k, v in theirs.state_dict().items()
        }), path)
    model = SlimmableMobileNetV2(
        init_cfg=dict(
            type='Pretrained', checkpoint=str(path), prefix='backbone.'))
    model.init_weights()
    for a, b in zip(theirs.state_dict().values(), model.state_dict().values()):
        assert torch.equal(a, b)


def test_group_norm_is_a_group_norm():
    """Oracle: the types of the layers."""
    model = SlimmableMobileNetV2(norm_cfg=dict(type='GN', num_groups=2))
    kinds = [
        m for m in model.modules() if isinstance(m, (GroupNorm, _BatchNorm))
    ]
    assert kinds and all(isinstance(m, GroupNorm) for m in kinds)
    model.switch_to(model.search_space.smallest)
    assert model(torch.zeros(1, 3, 32, 32))[0].shape == (1, 1280, 1, 1)


def test_strides():
    """Oracle: the sizes that the strides make of 28 pixels."""
    model = SlimmableMobileNetV2(
        strides=(1, 1, 2, 2, 2, 1, 2, 1), out_indices=range(7))
    sizes = [f.shape[-1] for f in model(torch.zeros(1, 3, 28, 28))]
    assert sizes == [28, 14, 7, 4, 4, 2, 2]
    assert MobileNetV2.arch_settings[1][3] == 2  # theirs is as it was


@pytest.mark.parametrize('kwargs, words', [
    (dict(strides=(1, 2)), 'strides'),
    (dict(strides=(3, ) * 8), 'strides'),
    (dict(conv_cfg=dict(type='DCN')), "'DCN'"),
    (dict(norm_cfg=dict(type='LN')), "'LN'"),
    (dict(search_space=dict(resolution=[32])), "'resolution'.*'resolutions'"),
])
def test_bad_arguments(kwargs, words):
    """Oracle: the field is in the message."""
    with pytest.raises(InputError, match=words):
        SlimmableMobileNetV2(**kwargs)


def test_is_built_from_a_config_of_another_project():
    """Oracle: the class, through MMEngine's root registry."""
    model = MODELS.build(
        dict(type='pss.SlimmableMobileNetV2', out_indices=(1, 2, 4, 7)))
    assert isinstance(model, SlimmableMobileNetV2)
    assert model.active_subnet == Subnet(224,
                                         (32, 16, 24, 32, 64, 96, 160, 320))


def test_one_width_for_each_block():
    """Oracle: the network written out by hand: stem and 17 blocks, shortcuts
    that carry the channels that both ends have."""
    torch.manual_seed(0)
    model = SlimmableMobileNetV2(search_space=dict(unit='block'))
    space = model.search_space
    assert len(space.widths) == 18
    assert space.size == 13 * 2 * 2**3 * 3**4 * 4**3 * 6**3 * 11
    theirs = MobileNetV2()
    theirs.load_state_dict(model.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 64)
    model.eval(), theirs.eval()
    assert torch.equal(model(x)[0], theirs(x)[0])

    widths = list(space.largest.widths)
    # stem, 1, 2 and 3 blocks of 16, 24 and 32, then 4 of 64
    widths[5], widths[7:11] = 24, (48, 64, 48, 56)
    subnet = Subnet(224, tuple(widths))
    model.switch_to(space.validate(subnet))
    feats = model.conv1(x)
    blocks = [b for i in range(1, 8) for b in getattr(model, f'layer{i}')]
    for block, width in zip(blocks, widths[1:]):
        out = block.conv(feats)
        assert out.shape[1] == width
        if block.use_res_connect:
            shared = min(width, feats.shape[1])
            out[:, :shared] += feats[:, :shared]
        feats = out
    torch.testing.assert_close(model(x)[0], model.conv2(feats))
