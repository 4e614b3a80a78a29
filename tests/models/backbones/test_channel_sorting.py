"""Channels in the order of their importance."""

import copy

import pytest
import torch
from torch import nn

from pss.models import SupernetClassifier
from pss.models.backbones.channel_groups import channel_groups
from pss.models.backbones.channel_sorting import importance, sort_channels

from ...building import classifier_config, randomise_statistics
from .test_converted_backbone import FAMILIES, NETWORKS, features_of


@pytest.mark.parametrize('name', FAMILIES)
def test_the_network_computes_the_same(name):
    """Oracle: the network before, within 1e-5 of the largest feature; and in
    every group the importance falls."""
    torch.manual_seed(0)
    network = NETWORKS[name]()
    for value in network.state_dict().values():
        if value.dim() == 1 and value.is_floating_point():
            value.uniform_(0.5, 1.5)
    network.eval()
    x, image = torch.randn(2, 3, 48, 48), torch.zeros(1, 3, 48, 48)
    before = features_of(network, x)
    old = copy.deepcopy(network.state_dict())
    orders = sort_channels(network, image)
    for a, b in zip(before, features_of(network, x)):
        assert (a - b).abs().max() < 1e-5 * a.abs().max()
    moved = [
        key for key, v in network.state_dict().items()
        if not torch.equal(v, old[key])
    ]
    assert len(moved) > len(old) / 4
    for group in channel_groups(network, image):
        falls = importance(network, group).diff() <= 1e-6
        if not group.is_returned:
            assert falls.all()
            assert all(member.name in orders for member in group.members)


@pytest.mark.parametrize('kind', ['MobileNetV1', 'MobileNetV2', 'ResNet'])
def test_supernets_of_the_paper(kind):
    """Oracle: the classifier's logits before; the classes keep their order."""
    torch.manual_seed(0)
    config = classifier_config(
        type=f'pss.Slimmable{kind}',
        search_space=dict(resolutions=[32, 48]),
        **(dict(depth=50) if kind == 'ResNet' else {}))
    config['head']['in_channels'] = dict(
        MobileNetV1=1024, MobileNetV2=1280, ResNet=2048)[kind]
    config.pop('type')
    model = SupernetClassifier(**config)
    randomise_statistics(model)
    model.eval()
    images = torch.randn(2, 3, 48, 48)
    before, fc = model(images), model.head.fc.weight.clone()
    sort_channels(model, torch.zeros(1, 3, 48, 48))
    after = model(images)
    assert (before - after).abs().max() < 1e-5 * before.abs().max()
    assert not torch.equal(fc, model.head.fc.weight)


def test_importance_by_hand():
    """Oracle: by hand, for two convolutions and a batch norm."""
    network = nn.Sequential(
        nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    with torch.no_grad():
        network[2].weight.copy_(torch.tensor([1., -3.]).view(1, 2, 1, 1))
        network[1].weight.copy_(torch.tensor([0.5, -0.25]))
    group = channel_groups(network, torch.zeros(1, 3, 4, 4))[0]
    # 1 and 3 by their mean, 0.5 and 0.25 by theirs
    assert importance(network, group).tolist() == pytest.approx(
        [0.5 * 4 / 3, 1.5 * 2 / 3])
    sort_channels(network, torch.zeros(1, 3, 4, 4))
    assert network[2].weight.ravel().tolist() == [-3., 1.]
    assert network[1].weight.tolist() == [-0.25, 0.5]
