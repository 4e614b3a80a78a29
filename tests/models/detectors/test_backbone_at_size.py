import numpy as np
import pytest
import torch

from pss.errors import InputError
from pss.models import BackboneAtSize, SlimmableMobileNetV1
from pss.resources import Flops, Latency

# tests/detection/test_fixed.py compares costs at a detector's size with fvcore


def at_size(small=24, large=32):
    space = dict(resolutions=[small, large])
    backbone = SlimmableMobileNetV1(search_space=space)
    return backbone, BackboneAtSize(backbone, (large, 3 * large // 2))


def test_sizes():
    """Oracle: by hand: the resolution over the largest, times each side."""
    backbone, model = at_size()
    assert model.image_size(32) == (32, 48)
    assert model.image_size(24) == (24, 36)
    model.switch_to(model.search_space.smallest)
    assert backbone.active_subnet == model.active_subnet
    [mine], [theirs] = (m(torch.ones(1, 3, 24, 36)) for m in (model, backbone))
    assert torch.equal(mine, theirs)


def test_costs_follow_the_size():
    """Oracle: one and a half times the pixels of a square cost 1.5 times as
    much, for sizes that are multiples of all strides."""
    backbone, model = at_size(64, 128)
    codes = backbone.search_space.random(np.random.default_rng(0), 3)
    wide, square = Flops().table(model), Flops().table(backbone)
    assert (wide.total(codes) == 1.5 * square.total(codes)).all()


def test_no_latency(tmp_path):
    """Oracle: one error that names the resources that detectors have."""
    model = at_size()[1]
    for ask in (lambda: model.network, model.blocks):
        with pytest.raises(InputError, match='expected one of pss.Flops'):
            ask()
    with pytest.raises(InputError, match='no such file'):
        Latency(str(tmp_path / 'none.json')).table(model)
