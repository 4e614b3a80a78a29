"""Graphs over one file of weights, and the numbers in three bytes."""

import numpy as np
import pytest

from pss.deploy.device_graphs import BITS, WeightsFile, packed
from pss.errors import InputError


@pytest.mark.parametrize('scale', [1e-20, 1e-3, 1., 7e8])
def test_three_bytes_hold_a_number_to_a_24th_of_a_bit(scale):
    """Oracle: the definition, half a unit in the last of 23 bits of the
    largest number, in float64."""
    rng = np.random.default_rng(0)
    values = (scale * rng.standard_normal(1000)).astype(np.float32)
    unit, codes = packed(values)
    assert (np.abs(codes) <= 2**BITS).all()
    bytes_ = (codes >> 8).astype(np.int16) * 256. + \
        (codes & 255).astype(np.uint8)
    wrong = np.abs(bytes_ * float(unit) - values)
    assert wrong.max() <= np.abs(values).max() * 2.**-BITS


def test_ends_of_three_bytes():
    """Oracle: by hand; the largest code is 2 ** 23 - 1."""
    for values in ([1., -1.], [0., 0.], [np.nextafter(np.float32(2), 0)]):
        unit, codes = packed(np.array(values, np.float32))
        assert codes.max() < 2**BITS and codes.min() >= -2**BITS
        np.testing.assert_allclose(codes * unit, values, rtol=2.**-22)
    for value in (np.inf, np.nan):
        with pytest.raises(InputError, match='not finite'):
            packed(np.array([1, value], np.float32))


def test_a_weight_stands_once():
    """Oracle: by hand; prefixes share the full weight's place, anything else
    gets its own, once."""
    full = np.arange(600, dtype=np.float32).reshape(20, 30)
    weights = WeightsFile(dict(w=full))
    first = weights.place('w', full[:7, :11])
    assert first == weights.place('w', full) == (0, (20, 30), np.float32)
    other = weights.place('w', full[1:8])
    assert other.shape == (7, 30) and other.offset == 2432  # 64 bytes aligned
    assert weights.place('v', full[1:8]) == other
    content = weights.content()
    assert len(content) == weights.size
    for block, values in ((first, full), (other, full[1:8])):
        found = np.frombuffer(content, np.float32, values.size, block.offset)
        assert np.array_equal(found.reshape(values.shape), values)


def test_integers_of_rows():
    """Oracle: by hand; the largest number of each row becomes 127."""
    full = np.array([[1, -2, 0.5], [0, 0, 0]], np.float32)
    weights = WeightsFile(dict(w=full))
    block, steps = weights.place_integers('w')
    codes = np.frombuffer(weights.content(), np.int8, 6).reshape(2, 3)
    assert codes.tolist() == [[64, -127, 32], [0, 0, 0]]
    assert steps[0] == np.float32(2 / 127) and block.dtype == np.int8
