import copy

import numpy as np
import pytest
import torch
from mmpretrain.models import ImageClassifier
from torch import nn

from pss.deploy import extract, extracted_config
from pss.models import SupernetClassifier, calibrate
from pss.registry import MODELS
from pss.structures import Subnet

from ..building import classifier_config


def build(kind, channels, **backbone):
    config = classifier_config(
        type=kind, search_space=dict(resolutions=[32, 48]), **backbone)
    config['head']['in_channels'] = channels
    torch.manual_seed(0)
    return config, MODELS.build(copy.deepcopy(config)).eval()


NETWORKS = [
    ('pss.SlimmableMobileNetV1', 1024, {}),
    ('pss.SlimmableMobileNetV2', 1280, {}),
    ('pss.SlimmableMobileNetV2', 1280, dict(strides=(1, 1, 2, 2, 2, 1, 2, 1))),
    ('pss.SlimmableResNet', 2048, dict(depth=50, zero_init_residual=False)),
    ('pss.SlimmableResNet', 512, dict(depth=18)),
]


@pytest.mark.parametrize('kind, channels, backbone', NETWORKS)
def test_logits_equal_the_supernets(kind, channels, backbone):
    """Oracle: the supernet at that subnet with the same statistics, for the
    ends of the space and a random subnet; nothing slimmable is left."""
    config, model = build(kind, channels, **backbone)
    space = model.search_space
    images = torch.randn(8, 3, 48, 48)
    subnets = [
        space.largest, space.smallest,
        *space.decode(space.random(np.random.default_rng(0), 1))
    ]
    statistics = calibrate(model, subnets, [images])
    for subnet in subnets:
        plain_config = extracted_config(config, model, subnet)
        plain = extract(model, plain_config, subnet, statistics[subnet])
        model.switch_to(subnet, statistics[subnet])
        with torch.no_grad():
            torch.testing.assert_close(
                plain(images), model(images), atol=1e-5, rtol=1e-5)
        layers = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
        assert all(
            type(m) in layers for m in plain.modules() if isinstance(m, layers))
        rebuilt = MODELS.build(plain_config)
        rebuilt.load_state_dict(plain.state_dict(), strict=True)


@pytest.mark.parametrize('size', [(40, 40), (48, 40)])
def test_images_of_another_size(size):
    """Oracle: the supernet, which resizes images to its largest resolution
    too."""
    config, model = build('pss.SlimmableMobileNetV2', 1280)
    largest = model.search_space.largest
    images = torch.randn(4, 3, *size)
    statistics, = calibrate(model, [largest], [images]).values()
    plain = extract(model, extracted_config(config, model, largest, size),
                    largest, statistics)
    model.switch_to(largest, statistics)
    with torch.no_grad():
        torch.testing.assert_close(
            plain(images), model(images), atol=1e-5, rtol=1e-5)


def test_mmpretrains_classes_where_the_widths_allow_it():
    """Oracle: the types of the extracted networks."""
    config, model = build('pss.SlimmableMobileNetV2', 1280)
    largest = model.search_space.largest
    plain = extracted_config(config, model, largest)
    assert plain.type == 'mmpretrain.ImageClassifier'
    assert dict(plain.backbone) == dict(type='mmpretrain.MobileNetV2')
    low = extracted_config(config, model, Subnet(32, largest.widths))
    assert (low.type, low.resolution) == ('pss.ResizedClassifier', 32)
    assert low.backbone.type == 'mmpretrain.MobileNetV2'
    small = extracted_config(config, model, model.search_space.smallest)
    assert small.backbone.subnet == model.search_space.smallest.as_dict()
    assert type(extract(model, plain, largest)) is ImageClassifier
    assert isinstance(model, SupernetClassifier)  # unchanged
    model.switch_to(model.search_space.smallest)
