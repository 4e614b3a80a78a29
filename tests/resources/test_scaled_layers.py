import numpy as np
import pytest

from pss.resources.scaled_layers import (
    channels_along,
    find_drivers,
    product_term,
    scaled_layers,
)
from pss.structures import SearchSpace, Width

SPACE = SearchSpace([
    Width((8, 12, 16), (1 / 3, ) * 3),
    Width((5, ), (1., )),
    Width((6, 9), (0.5, 0.5))
], [32, 64])


def test_drivers():
    """Oracle: by hand: twice the first width, a constant, the last width."""
    found = find_drivers(
        SPACE, lambda subnet: {
            'a': (2 * subnet.widths[0], 3),
            'b': (subnet.widths[2], subnet.widths[0])
        })
    assert found == dict(a=(0, None), b=(2, 0))


@pytest.mark.parametrize('channels', [
    lambda widths: widths[0] + widths[2],
    lambda widths: widths[0] + 1,
])
def test_channels_of_no_single_width(channels):
    """Oracle: a sum of widths, and one with a constant, are errors."""
    with pytest.raises(ValueError, match='a: its channels are not prop'):
        find_drivers(SPACE, lambda subnet: {'a': (channels(subnet.widths), )})


def test_product_term():
    """Oracle: the product written out as loops."""
    per_unit = np.array([3, 7])
    scope, table = product_term(SPACE, per_unit, [(2, 12), (None, 4), (0, 8)])
    assert scope == (0, 2)
    for r, unit in enumerate(per_unit):
        for i, first in enumerate((8, 12, 16)):
            for j, last in enumerate((6, 9)):
                assert table[r, i, j] == unit * 2 * last * 4 * first
    assert channels_along(SPACE, None, 5).tolist() == [5]


def test_sizes_of_layers(supernet):
    """Oracle: MobileNetV2's second stage by hand, from 16 and 32 pixels."""
    name = 'backbone.layer2.0.conv.1.conv'  # depthwise, stride 2
    supernet.switch_to(supernet.search_space.smallest)
    layer = scaled_layers(supernet, [name])[name]
    assert layer.smallest.channels == (96, 96)  # 6 times 16, which is fixed
    assert layer.is_per_channel and layer.factors == [(None, 96)]
    assert layer.pixels_in.tolist() == [8**2, 12**2, 16**2]
    assert layer.pixels_out.tolist() == [4**2, 6**2, 8**2]
    assert supernet.active_subnet == supernet.search_space.smallest
