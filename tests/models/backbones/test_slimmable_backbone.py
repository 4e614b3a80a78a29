import pytest
import torch

from pss.errors import InputError
from pss.models import SlimmableMobileNetV1, SlimmableMobileNetV2

from mmpretrain.models.backbones.mobilenet_v2 import (  # isort: skip
    InvertedResidual)


@pytest.mark.parametrize('space, words', [
    (dict(multipliers=(0.5, 1.5)), r'multipliers=\(0.5, 1.5\)'),
    (dict(multipliers=0.5), 'multipliers=0.5'),
    (dict(divisor=0), 'divisor=0'),
    (dict(divisor=24), 'divisor=24 gives .*divisor of 32'),
    (dict(resolutions=[]), 'resolutions'),
    (dict(resolutions=224), 'search_space.resolutions=224: expected a list'),
    (dict(resolutions=dict(start=128, stop=224)), 'resolutions.step=None'),
    (dict(resolution=224), "'resolution'"),
    (dict(multipliers=(0, 1)), 'multipliers'),
])
def test_impossible_spaces(space, words):
    """Oracle: field and value are in the message."""
    with pytest.raises(InputError, match=words):
        SlimmableMobileNetV1(search_space=space)


def test_another_space():
    """Oracle: choices by hand: multiples of 16 from half of the channels."""
    space = SlimmableMobileNetV1(
        search_space=dict(
            multipliers=(0.5,
                         1.0), divisor=16, resolutions=[96, 64])).search_space
    assert space.resolutions == (64, 96)
    assert space.widths[0].choices == (16, 32)
    assert space.widths[1].choices == (32, 48, 64)
    assert space.widths[2].choices == (64, 80, 96, 112, 128)


def test_narrow_backbone_from_a_config():
    """Oracle: the supernet at the subnet, with the same random weights."""
    torch.manual_seed(0)
    wide = SlimmableMobileNetV2()
    subnet = wide.search_space.smallest
    torch.manual_seed(0)
    narrow = SlimmableMobileNetV2(subnet=subnet.as_dict())
    assert not any('Slimmable' in type(m).__name__ and m is not narrow
                   and not isinstance(m, InvertedResidual)
                   for m in narrow.modules())
    assert narrow.search_space.size == 1
    assert narrow.layer7[0].conv[2].conv.weight.shape == (240, 720, 1, 1)
    wide.switch_to(subnet)
    x = torch.randn(2, 3, 32, 32)
    wide.eval(), narrow.eval()
    torch.testing.assert_close(narrow(x)[0], wide(x)[0])
    with pytest.raises(InputError, match='resolution=7'):
        SlimmableMobileNetV2(subnet=dict(subnet.as_dict(), resolution=7))
