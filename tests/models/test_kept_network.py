import numpy as np
import pytest
import torch
from torch import nn

from pss.deploy import extract, extracted_config
from pss.models import SharedWeights, calibrate, kept_network
from pss.registry import MODELS

from ..building import classifier_config

NETWORKS = [
    ('pss.SlimmableMobileNetV1', 1024, {}),
    ('pss.SlimmableMobileNetV2', 1280, {}),
    ('pss.SlimmableResNet', 2048, dict(depth=50, zero_init_residual=False)),
]


def build(kind, channels, channels_last=False, **backbone):
    config = classifier_config(
        type=kind, search_space=dict(resolutions=[32, 48]), **backbone)
    config['head']['in_channels'] = channels
    torch.manual_seed(0)
    return config, MODELS.build(dict(config,
                                     channels_last=channels_last)).eval()


@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize('kind, channels, backbone', NETWORKS)
def test_logits_equal_the_extracted_networks(kind, channels, backbone,
                                             channels_last):
    """Oracle: the extracted plain network's logits (1e-5), for the ends and a
    random subnet; nothing slimmable is left, nothing is trainable."""
    config, model = build(kind, channels, channels_last, **backbone)
    space = model.search_space
    images = torch.randn(4, 3, 48, 48)
    subnets = [
        space.largest, space.smallest,
        *space.decode(space.random(np.random.default_rng(0), 1))
    ]
    # of many images: variances of a few pixels would magnify rounding
    statistics = calibrate(model, subnets, [torch.randn(64, 3, 48, 48)])
    weights = SharedWeights()
    for subnet in subnets:
        network = kept_network(model, subnet, statistics[subnet], weights)
        plain = extract(model, extracted_config(config, model, subnet), subnet,
                        statistics[subnet])
        with torch.no_grad():
            torch.testing.assert_close(
                network(images), plain(images), atol=1e-5, rtol=0)
        layers = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
        assert all(
            type(m) in layers for m in network.modules()
            if isinstance(m, layers))
        assert not any(p.requires_grad for p in network.parameters())
        assert all(p.is_contiguous() or p.is_contiguous(
            memory_format=torch.channels_last) for p in network.parameters())
    assert model.active_subnet == space.largest


def test_weights_are_shared():
    """Oracle: the storages of the supernet's parameters and of the copies,
    counted by hand: one for every number of input channels that occurs."""
    _, model = build('pss.SlimmableMobileNetV2', 1280)
    space = model.search_space
    subnets = [
        space.largest, space.smallest,
        *space.decode(space.random(np.random.default_rng(0), 10))
    ]
    statistics = calibrate(model, subnets, [torch.randn(2, 3, 48, 48)])
    weights = SharedWeights()
    networks = [kept_network(model, s, statistics[s], weights) for s in subnets]
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    copies = {}
    wanted = set()
    for network in networks:
        for value in network.parameters():
            storage = value.untyped_storage()
            if storage.data_ptr() not in own:
                copies[storage.data_ptr()] = storage.nbytes()
        wide = dict(model.named_modules())
        wanted |= {(name, module.in_channels)
                   for name, module in network.named_modules()
                   if isinstance(module, nn.Conv2d) and module.groups == 1
                   and module.in_channels != wide[name].in_channels}
    assert len(copies) == len(wanted)
    assert weights.copied_bytes == sum(copies.values())


def test_the_limit_of_copies():
    """Oracle: the same logits without a single copy."""
    _, model = build('pss.SlimmableMobileNetV2', 1280)
    subnet = model.search_space.smallest
    images = torch.randn(2, 3, 48, 48)
    statistics = calibrate(model, [subnet], [images])[subnet]
    none, all_ = SharedWeights(limit=0), SharedWeights()
    with torch.no_grad():
        torch.testing.assert_close(
            kept_network(model, subnet, statistics, none)(images),
            kept_network(model, subnet, statistics, all_)(images),
            atol=1e-6,
            rtol=0)
    assert none.copied_bytes == 0 < all_.copied_bytes
