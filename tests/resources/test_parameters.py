import numpy as np
import pytest

from pss.deploy import extract, extracted_config
from pss.registry import MODELS
from pss.resources import Parameters

from ..building import classifier_config


@pytest.mark.parametrize('channels, backbone', [
    (1280, dict()),
    (1280, dict(search_space=dict(unit='block'))),
    (1024, dict(type='pss.SlimmableMobileNetV1')),
    (2048, dict(type='pss.SlimmableResNet', depth=50)),
    (512, dict(type='pss.SlimmableResNet', depth=18, deep_stem=True)),
    (1280, dict(norm_cfg=dict(type='GN', num_groups=4))),
])
def test_equals_the_extracted_network(channels, backbone):
    """Oracle: the parameters of the plain network of the subnet, counted."""
    backbone = dict(backbone)
    space = dict(backbone.pop('search_space', {}), resolutions=[32, 48])
    config = classifier_config(**backbone, search_space=space)
    config['head']['in_channels'] = channels
    model = MODELS.build(config)
    table = Parameters().table(model)
    codes = table.space.random(np.random.default_rng(0), 4)
    counted = []
    for subnet in table.space.decode(codes):
        plain = extract(model, extracted_config(config, model, subnet), subnet)
        counted.append(sum(p.numel() for p in plain.parameters()))
    assert table.total(codes).tolist() == counted
    assert table(codes) == pytest.approx(np.array(counted) / 1e6)
