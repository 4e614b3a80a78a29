import numpy as np
import pytest

from pss.resources import Timing, reachable_blocks
from pss.resources.interpolation import choose_blocks, interpolate


def time_of(key):
    """A time like a device's: overhead, traffic, work, and a jump."""
    pixels, cmid = key.in_size**2, key.cmid or key.cin
    time = 20 + pixels * (key.cin + cmid + key.cout) * 1e-3 + \
        pixels * (key.cin * cmid + cmid * key.cout) * 1e-5
    return time * (1.1 if key.cin % 16 else 1.)


@pytest.fixture(scope='module')
def keys(imagenet_model):
    """The 842 blocks of MobileNetV2."""
    return list(reachable_blocks(imagenet_model))


def test_interpolated_times(keys):
    """Oracle: the times that were left out, for the reported error too."""
    chosen = choose_blocks(keys, 200)
    assert len(chosen) == len(set(chosen)) == 200
    measured = {key: Timing(time_of(key)) for key in chosen}
    rest = [key for key in keys if key not in measured]
    times, error = interpolate(measured, rest)
    assert set(times) == set(rest)
    assert all(timing.interpolated for timing in times.values())
    errors = [abs(times[key].latency / time_of(key) - 1) for key in rest]
    assert np.mean(errors) < 0.06
    assert error == pytest.approx(np.mean(errors), abs=0.03)


def test_what_is_chosen(keys):
    """Oracle: at least two of each kind; more includes fewer."""
    kinds = {(k.block_type, k.kernel_size, k.stride, k.shortcut) for k in keys}
    few, more = choose_blocks(keys, 1), choose_blocks(keys, 300)
    for kind in kinds:
        there = [
            k for k in keys
            if (k.block_type, k.kernel_size, k.stride, k.shortcut) == kind
        ]
        mine = [k for k in few if k in there]
        assert len(mine) == min(2, len(there))
    assert set(few) <= set(choose_blocks(keys, 100)) <= set(more)
    assert set(choose_blocks(keys, 10_000)) == set(keys)


def test_two_blocks_are_enough_to_guess(keys):
    """Oracle: guesses stay between half the smallest and twice the largest
    measured time, times the neighbours' deviation."""
    few = {key: Timing(time_of(key)) for key in choose_blocks(keys, 1)}
    times, _ = interpolate(few, [k for k in keys if k not in few])
    values = [t.latency for t in times.values()]
    assert min(values) > 0 and max(values) < 10 * max(t.latency
                                                      for t in few.values())
