import numpy as np
import pytest
import torch
from torch.nn import functional

from pss.apis import init_model
from pss.registry import MODELS
from pss.resources import count_macs, flops_table
from pss.structures import Subnet

from ..building import classifier_config
from ..paths import ROOT


def test_equals_the_published_costs(imagenet_flops, reference_costs):
    """Oracle: the published program's MFLOPs of 64 subnets, exactly."""
    rows = reference_costs['mobilenet_v2']
    codes = imagenet_flops.space.encode(
        [Subnet(row['resolution'], tuple(row['widths'])) for row in rows])
    assert imagenet_flops(codes).tolist() == [row['mflops'] for row in rows]


def test_mobilenet_v1_equals_the_published_costs(reference_costs):
    """Oracle: the published program's MFLOPs of 64 subnets, exactly."""
    flops = flops_table(init_model(ROOT / 'configs' / 'pss_mbv1_imagenet.py'))
    rows = reference_costs['mobilenet_v1']
    space = flops.space
    codes = space.encode([
        space.smallest, space.largest,
        *(Subnet(row['resolution'], tuple(row['widths'])) for row in rows)
    ])
    assert flops(codes).tolist() == [
        106.78272, 568.790528, *(row['mflops'] for row in rows)
    ]


def test_ends_of_the_space(imagenet_flops):
    """Oracle: the published smallest and largest."""
    space = imagenet_flops.space
    codes = space.encode([space.smallest, space.largest])
    assert imagenet_flops(codes).tolist() == [69.150208, 300.836992]


def test_equals_fvcore_on_random_subnets(imagenet_model, imagenet_flops):
    """Oracle: fvcore, subnet by subnet."""
    space = imagenet_flops.space
    codes = space.random(np.random.default_rng(0), 3)
    counted = [count_macs(imagenet_model, s) for s in space.decode(codes)]
    assert imagenet_flops.total(codes).tolist() == counted


RESNET = 'pss.SlimmableResNet'


@pytest.mark.parametrize('channels, backbone', [
    (1280, dict(widen_factor=0.5)),
    (1280, dict(strides=(1, 1, 1, 2, 1, 2, 1, 1))),
    (1792, dict(widen_factor=1.4, strides=(2, 1, 1, 2, 2, 1, 2, 1))),
    (1280, dict(search_space=dict(unit='block'))),
    (1280, dict(search_space=dict(multipliers=(0.4, 0.9), divisor=4))),
    (1024, dict(type='pss.SlimmableMobileNetV1')),
    (2048, dict(type=RESNET, depth=50)),
    (512, dict(type=RESNET, depth=18)),
    (2048, dict(type=RESNET, depth=50, deep_stem=True, avg_down=True)),
    (2048, dict(type=RESNET, depth=50, style='caffe')),
])
def test_equals_fvcore_on_other_networks(channels, backbone):
    """Oracle: fvcore, for other networks, spaces, and odd resolutions."""
    backbone = dict(backbone)
    space = dict(backbone.pop('search_space', {}), resolutions=[33, 48, 62])
    config = classifier_config(**backbone, search_space=space)
    config['head']['in_channels'] = channels
    model = MODELS.build(config)
    table = flops_table(model)
    codes = table.space.random(np.random.default_rng(1), 1)
    counted = [count_macs(model, s) for s in table.space.decode(codes)]
    assert table.total(codes).tolist() == counted


def test_counting_leaves_the_model_as_it_was(supernet):
    """Oracle: mode, active subnet and buffers before."""
    supernet.train()
    subnet = supernet.search_space.smallest
    supernet.switch_to(subnet)
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    flops_table(supernet)
    assert supernet.active_subnet == subnet
    assert all(module.training for module in supernet.modules())
    assert all((before[k] == v).all() for k, v in supernet.state_dict().items())


def test_work_outside_of_layers(supernet):
    """Oracle: fvcore, for a network that pools by a function."""
    linear = torch.ones(10, 1280)
    supernet.neck.forward = lambda feats: (functional.adaptive_avg_pool2d(
        feats[-1], 1).flatten(1), )
    supernet.head.forward = lambda feats: functional.linear(feats[-1], linear)
    cost = flops_table(supernet)
    subnet = cost.space.smallest
    found = cost.total(cost.space.encode([subnet]))
    assert found.tolist() == [count_macs(supernet, subnet)]


def test_work_that_grows_with_two_widths_is_an_error(supernet):
    """Oracle: a network that multiplies matrices without a layer."""
    conv = supernet.backbone.layer5[0].conv[2]
    weight = conv.conv.weight
    conv.forward = lambda x: functional.conv2d(
        x, weight[:conv.conv.active_out_channels, :x.shape[1]])
    with pytest.raises(ValueError, match='not proportional'):
        flops_table(supernet)
