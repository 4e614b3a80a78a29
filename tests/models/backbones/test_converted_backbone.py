"""Backbones of many kinds as supernets."""

import ast
import copy

import numpy as np
import pytest
import torch
from mmengine.utils import digit_version
from mmpretrain.models import backbones
from torch import nn

from pss.errors import InputError
from pss.models import (
    SlimmableResNet,
    SupernetClassifier,
    calibrate,
    slimmable_backbone,
)
from pss.models.narrowing import narrow
from pss.resources import (
    LatencyTable,
    Timing,
    flops_table,
    macs_by_module,
    reachable_blocks,
)
from pss.supernet import blank, hooked, run_blank

# torch 2.6 and older show less of how channels are taken apart
SHOWS_ALL = digit_version(torch.__version__) >= digit_version('2.13')
SPACE = dict(resolutions=[32, 48], multipliers=(0.5, 1.), divisor=4)


class Own(nn.Module):
    """A network in plain torch: a shortcut, groups, flattened pixels."""

    def __init__(self, stem=16, inner=24, features=20):
        super().__init__()
        self.stem = nn.Conv2d(3, stem, 3, 2, 1)
        self.norm = nn.GroupNorm(4, stem)
        self.inner = nn.Conv2d(stem, inner, 1)
        self.act = nn.PReLU(inner)
        self.grouped = nn.Conv2d(inner, inner, 3, 1, 1, groups=inner // 4)
        self.outer = nn.Conv2d(inner, stem, 1)
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, stem)[:, None, None])
        self.linear = nn.Linear(stem * 4, features)
        self.unused = nn.Linear(features, 10)

    def forward(self, x):
        """Features ``(N, features)``."""
        x = self.norm(self.stem(x))
        x = x + self.scale * self.outer(self.grouped(self.act(self.inner(x))))
        x = nn.functional.adaptive_avg_pool2d(x, 2)
        return self.linear(x.flatten(1))


NETWORKS = dict(
    resnet=lambda: backbones.ResNet(18, base_channels=16, stem_channels=16),
    resnet50=lambda: backbones.ResNet(
        50, base_channels=8, stem_channels=16, deep_stem=True, avg_down=True),
    resnext=lambda: backbones.ResNeXt(
        50, groups=4, width_per_group=4, base_channels=16),
    regnet=lambda: backbones.RegNet('regnetx_400mf'),
    mobilenet_v3=lambda: backbones.MobileNetV3('small_050'),
    efficientnet=lambda: backbones.EfficientNet('b0'),
    convnext=lambda: backbones.ConvNeXt(
        dict(depths=[1, 1, 2, 1], channels=[8, 16, 24, 32])),
    convnext_v2=lambda: backbones.ConvNeXt(
        dict(depths=[1, 1, 2, 1], channels=[8, 16, 24, 32]),
        use_grn=True,
        layer_scale_init_value=0.),
    vgg=lambda: backbones.VGG(11, norm_cfg=dict(type='BN')),
    own=Own)
FAMILIES = list(NETWORKS)


def built(name, **kwargs):
    """A network with random parameters and statistics, and its supernet."""
    torch.manual_seed(0)
    network = NETWORKS[name]()
    for key, value in network.state_dict().items():
        if 'running_var' in key or 'gamma' in key:
            value.uniform_(0.5, 1.5)
    plain = copy.deepcopy(network)
    ours = slimmable_backbone(network, search_space=SPACE, **kwargs)
    plain.eval(), ours.eval()
    return plain, ours


@pytest.fixture(scope='module')
def supernets():
    """Plain networks and supernets, built once."""
    kept = {}

    def get(name):
        if name not in kept:
            kept[name] = built(name)
        return kept[name]

    return get


def some_subnets(space, num=2):
    rng = np.random.default_rng(0)
    return [space.smallest, *space.decode(space.random(rng, num))]


def features_of(network, x):
    """What a network returns, as a tuple."""
    y = network(x)
    return (y, ) if isinstance(y, torch.Tensor) else y


@pytest.mark.parametrize('name', FAMILIES)
def test_largest_equals_the_original(supernets, name):
    """Oracle: the original with the same state dict, bit by bit."""
    plain, ours = supernets(name)
    assert list(ours.state_dict()) == list(plain.state_dict())
    ours.switch_to(ours.search_space.largest)
    x = torch.randn(2, 3, 48, 48)
    for a, b in zip(features_of(plain, x), ours(x)):
        assert torch.equal(a, b)
    plain.load_state_dict(ours.state_dict(), strict=True)


@pytest.mark.parametrize('name', FAMILIES)
def test_subnets_equal_extracted_networks(supernets, name):
    """Oracle: plain networks with sliced parameters, of the original's class;
    the gradients of their parameters too, and zero for all others."""
    plain, ours = supernets(name)
    x = torch.randn(2, 3, 32, 32)
    for subnet in some_subnets(ours.search_space):
        ours.switch_to(subnet)
        ours.zero_grad()
        narrowed = copy.deepcopy(ours)
        narrow(narrowed, blank(narrowed, 32))
        if name == 'own':  # what does not run stays as it is
            del narrowed.unused
        kinds = {type(m) for m in plain.modules()}
        assert {type(m) for m in narrowed.modules() if m != narrowed} <= kinds
        found, wanted = ours(x), narrowed(x)
        for a, b in zip(found, wanted):
            assert torch.allclose(a, b, atol=1e-5)
        assert any(p.shape != q.shape
                   for p, q in zip(narrowed.parameters(), plain.parameters()))
        for features in (found, wanted):
            sum(f.square().mean() for f in features).backward()
        parts = dict(narrowed.named_parameters())
        for key, wide in ours.named_parameters():
            part = parts.get(key, wide)
            if part.grad is None:
                assert wide.grad is None or not wide.grad.any()
                continue
            inside = tuple(map(slice, part.shape))
            scale = part.grad.abs().max() + 1e-6
            assert (wide.grad[inside] - part.grad).abs().max() < 1e-4 * scale
            wide.grad[inside] = 0
            assert not wide.grad.any(), key


@pytest.mark.parametrize('name', FAMILIES)
def test_flops_equal_fvcore(supernets, name):
    """Oracle: fvcore, on extracted networks."""
    _, ours = supernets(name)
    cost = flops_table(ours)
    for subnet in some_subnets(ours.search_space):
        ours.switch_to(subnet)
        narrowed = copy.deepcopy(ours)
        narrow(narrowed, blank(narrowed, subnet.resolution))
        macs = macs_by_module(narrowed,
                              (3, subnet.resolution, subnet.resolution))['']
        found = cost.total(ours.search_space.encode([subnet]))
        assert found.tolist() == [macs]


def test_the_space_of_a_resnet():
    """Oracle: SlimmableResNet, whose convolutions have the same widths."""
    ours = slimmable_backbone(
        backbones.ResNet(50),
        tie=[r'(layer\d\.\d+)\.conv[12]'],
        search_space=dict(resolutions=[64]))
    theirs = SlimmableResNet(50, search_space=dict(resolutions=[64]))
    tables = []
    for model in (ours, theirs):
        names = {m: name for name, m in model.named_modules()}
        groups = {}
        for layer, width, _ in model.drives:
            groups.setdefault(width, set()).add(names[layer])
        tables.append({(frozenset(group), model.search_space.widths[width])
                       for width, group in groups.items()})
    assert tables[0] == tables[1]


def test_ties_of_unequal_layers():
    """Oracle: MobileNetV2's hidden channels, six times the input's."""
    ours = slimmable_backbone(
        backbones.MobileNetV2(),
        tie=[r'layer2\.0\.conv\.0\.conv|layer1\.0\.conv\.1\.conv'],
        exclude=['conv1.conv'],
        search_space=dict(resolutions=[64]))
    factors = {
        drive.factor: drive.layer.out_channels
        for drive in ours.drives if drive.width == 0
    }
    assert factors == {1: 16, 6: 96}


def test_options():
    """Oracle: by hand: excluded, tied by stage, ranges by pattern."""
    ours = slimmable_backbone(
        backbones.ResNet(18),
        exclude=['conv1', 'layer4.*.conv2'],
        tie=[r'(layer\d)\.\d\.conv1'],
        multipliers={'layer3*': (0.25, 0.5)},
        search_space=dict(resolutions=[64], divisor=64))
    widths = [width.choices for width in ours.search_space.widths]
    assert widths == [(64, ), (128, ), (128, ), (64, 128), (64, 128),
                      (384, 448, 512)]


@pytest.mark.parametrize('kwargs, message', [
    (dict(exclude=['stem*']), "exclude: 'stem*' matches no layer"),
    (dict(exclude='conv1'), 'expected a list'),
    (dict(exclude=['*']), 'every layer is excluded'),
    (dict(tie=['(']), "tie: '('"),
    (dict(tie=['conv9']), 'matches no layer'),
    (dict(multipliers={'conv9': (0.5, 1.)}), "'conv9' matches no layer"),
    (dict(multipliers={'conv1': (0.5, 1.5)}), "multipliers['conv1']"),
    (dict(input_size=0), 'input_size=0'),
    (dict(input_channels=4), 'cannot be followed'),
])
def test_bad_options(kwargs, message):
    """Oracle: SPEC: one error, which names the field and the value."""
    with pytest.raises(InputError) as caught:
        slimmable_backbone(backbones.ResNet(18), search_space=SPACE, **kwargs)
    assert message in str(caught.value)


@pytest.mark.parametrize('network, layer, reason, widths', [
    (lambda: backbones.ShuffleNetV2(), 'layers.0.0.branch1.1.conv',
     'concatenated', 18),
    (lambda: backbones.DenseNet('121'), 'stages.0.block.0.conv2',
     'concatenated', 58),
])
def test_refused(network, layer, reason, widths):
    """Oracle: networks whose first channels do not stay the first; with the
    layers excluded that the message says, the others change."""
    with pytest.raises(InputError) as caught:
        slimmable_backbone(network(), search_space=SPACE)
    message = str(caught.value)
    assert layer in message
    assert reason in message or (not SHOWS_ALL and 'sliced' in message)
    exclude = ast.literal_eval(message.partition('exclude=')[2])
    assert len(exclude) < 9
    ours = slimmable_backbone(network(), exclude=exclude, search_space=SPACE)
    assert len(ours.search_space.widths) == widths


class Split(nn.Module):
    """A gated layer: one half of the channels times the other."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(3, 16, 3)
        self.narrow = nn.Conv2d(8, 8, 3)

    def forward(self, x):
        """Features."""
        left, right = self.wide(x).chunk(2, dim=1)
        return self.narrow(left * right)


def test_split_channels():
    """Oracle: refused by name; excluded, all else runs."""
    with pytest.raises(InputError, match='wide: its channels are split'):
        slimmable_backbone(Split(), search_space=SPACE)
    ours = slimmable_backbone(Split(), exclude=['wide'], search_space=SPACE)
    assert [drive.layer for drive in ours.drives] == [ours.narrow]


def test_images_that_are_too_small():
    """Oracle: SPEC: the field and the reason, not a layer."""
    with pytest.raises(InputError, match='resolutions.* at 16 pixels'):
        slimmable_backbone(
            NETWORKS['vgg'](), search_space=dict(SPACE, resolutions=[16, 32]))


def test_vision_transformer():
    """Oracle: the hidden widths of the MLPs change and nothing else, as the
    extracted network says."""
    torch.manual_seed(0)
    ours = slimmable_backbone(
        backbones.VisionTransformer(
            dict(
                embed_dims=24,
                num_layers=2,
                num_heads=2,
                feedforward_channels=48),
            img_size=32,
            patch_size=8),
        exclude=[
            'patch_embed.projection', '*.attn.qkv',
            *([] if SHOWS_ALL else ['*.attn.proj', '*.ffn.layers.1'])
        ],
        search_space=dict(SPACE, resolutions=[32]))
    ours.eval()
    space = ours.search_space
    assert space.largest.widths == (48, 48)
    ours.switch_to(space.smallest)
    x = torch.randn(2, 3, 32, 32)
    narrowed = copy.deepcopy(ours)
    narrow(narrowed, blank(narrowed, 32))
    assert torch.allclose(ours(x)[0], narrowed(x)[0], atol=1e-6)


def test_checkpointed_activations():
    """Oracle: the same gradients without saving memory (``with_cp``), also for
    parameters outside of layers."""
    gradients = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        ours = slimmable_backbone(
            backbones.ConvNeXt(
                dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32]),
                with_cp=with_cp),
            search_space=SPACE)
        ours.switch_to(ours.search_space.smallest)
        ours(torch.ones(1, 3, 32, 32))[0].square().sum().backward()
        gradients.append([p.grad for p in ours.parameters()])
    for a, b in zip(*gradients):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-6)


def test_in_a_classifier():
    """Oracle: an extracted network's logits, with calibrated statistics; the
    head's channels follow."""
    torch.manual_seed(0)
    model = SupernetClassifier(
        dict(
            type='pss.SlimmableBackbone',
            backbone=dict(type='mmpretrain.MobileNetV3', arch='small_050'),
            search_space=SPACE),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=5, in_channels=288))
    images = torch.rand(8, 3, 48, 48)
    subnet = model.search_space.smallest
    model.switch_to(subnet)
    statistics = calibrate(model, [subnet], [images])[subnet]
    model.eval()
    model.switch_to(subnet, statistics)
    narrowed = copy.deepcopy(model)
    narrow(narrowed, blank(narrowed, 32))
    assert torch.allclose(model(images), narrowed(images), atol=1e-5)
    assert narrowed.head.fc.in_features == subnet.widths[-1]


@pytest.mark.parametrize('name', ['resnet', 'resnext', 'vgg', 'convnext'])
def test_blocks(supernets, name):
    """Oracle: running the blocks of a subnet one after the other, which is all
    that these networks do before their last norm; and each layer is in one."""
    _, ours = supernets(name)
    ours.switch_to(ours.search_space.smallest)
    blocks = ours.blocks()
    assert ours.active_subnet == ours.search_space.smallest
    inside = [
        layer for block in blocks for layer in block.module.modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    layers = [
        m for m in ours.modules() if isinstance(m, (nn.Conv2d, nn.Linear))
    ]
    assert len(inside) == len({*map(id, inside)}) == len(layers)
    x = torch.randn(1, 3, 32, 32)
    wanted = ours(x)[-1]
    for block in blocks:
        x = block.module(x)
    if name == 'convnext':  # pools before its last norm
        x = ours.norm3(x.mean([-2, -1], keepdim=True)).flatten(1)
        x = wanted if x.shape == wanted.shape else x
    assert torch.allclose(x, wanted, atol=1e-5)
    for block in blocks:
        assert block.stride in (1, 2, 4)


def test_blocks_with_several_inner_widths(supernets):
    """Oracle: SPEC: an error that names the block; tied, there are blocks."""
    with pytest.raises(InputError, match=r'layer1\.0: 2 inner widths'):
        supernets('resnet50')[1].blocks()
    ours = slimmable_backbone(
        NETWORKS['resnet50'](),
        tie=[r'(layer\d\.\d+)\.conv[12]'],
        search_space=SPACE)
    inner = [block.inner for block in ours.blocks()]
    assert sum(layer is not None for layer in inner) == 16


def test_latency_table(supernets):
    """Oracle: the sum of the blocks of a subnet, one by one."""
    _, ours = supernets('convnext')
    keys = [*reachable_blocks(ours)]
    rng = np.random.default_rng(0)
    table = LatencyTable(
        dict(network=ours.network, scale=1.),
        {key: Timing(float(rng.uniform(1, 2)), 0., 1)
         for key in keys})
    cost = table.cost_table(ours, 'table')
    space = ours.search_space
    for subnet in some_subnets(space):
        ours.switch_to(subnet)
        total = 0.
        shapes = []

        def note(module, inputs, output, shapes=shapes):
            shapes.append((inputs[0].shape, output.shape))

        blocks = ours.blocks()
        with hooked(after=[(b.module, note) for b in blocks[1:]]):
            run_blank(ours, subnet)
        sizes = {(k.block_type, k.in_size, k.cin, k.cout) for k in keys}
        for block, (x, y) in zip(blocks[1:], shapes):
            assert (block.block_type, x[2], x[1], y[1]) in sizes
        total = cost(space.encode([subnet]))[0]
        assert len(blocks) < total < 2 * len(blocks)
