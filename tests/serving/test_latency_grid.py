import numpy as np
import pytest

from pss.errors import InputError
from pss.serving import LatencyGrid


def test_between_the_measured_sizes():
    """Oracle: the straight line, by hand; a latency measured too low for its
    size is raised to the one before."""
    grid = LatencyGrid([1, 2, 4, 6], [[2., 3., 7., 6.]], [90.])
    assert grid.latencies_ms == [[0., 2., 3., 5., 7., 7., 7.]]
    assert (grid.num, grid.largest, grid.fastest) == (1, 6, 0)


def test_subnets_that_are_worth_running():
    """Oracle: by hand: the third is slower than the more accurate second, and
    of two equally accurate ones the faster one is kept."""
    grid = LatencyGrid([1], [[1.], [2.], [3.], [4.], [5.]],
                       [80., 85., 84., 86., 86.])
    assert grid.order == [3, 1, 0] and grid.fastest == 0


@pytest.mark.parametrize('seed', range(30))
def test_frontier(seed):
    """Oracle: all pairs: a subnet is left out if and only if two others, by
    turns, are as accurate in less time."""
    rng = np.random.default_rng(seed)
    num = rng.integers(1, 9)
    times = np.sort(rng.uniform(1, 20, num))
    accuracies = np.sort(rng.uniform(60, 80, num))
    grid = LatencyGrid([1], times[:, None].tolist(), accuracies.tolist())
    given = grid.order[rng.integers(0, num):]

    def is_beaten(subnet):
        return any(
            np.interp(accuracies[subnet], accuracies[[a, b]], times[[a, b]]) <
            times[subnet] for a in given for b in given if a < subnet < b)

    expected = [subnet for subnet in given if not is_beaten(subnet)]
    assert grid.frontier(given, 40.) == expected


def test_useful_sizes_and_capacity():
    """Oracle: by hand: with latencies in proportion to the size a larger batch
    gains nothing; with equal latencies every one does."""
    sizes = [1, 2, 3, 4]
    grid = LatencyGrid(sizes, [[2., 4., 6., 8.], [2., 2., 2., 3.]], [90., 80.])
    assert grid.useful_sizes(0, 99) == (1, )
    assert grid.useful_sizes(1, 2.5) == (1, 2, 3)
    assert grid.useful_sizes(1, 0.1) == (1, )
    assert [grid.largest_within(0, ms)
            for ms in (0.1, 2., 5., 99)] == [1, 1, 2, 4]
    assert [grid.largest_within(1, ms) for ms in (0.1, 2., 3.)] == [1, 3, 4]
    assert grid.capacity(0, 50.) == 500
    assert grid.capacity(1, 5.) == 1500


@pytest.mark.parametrize('given, words', [
    (dict(sizes=[2, 4]), r'sizes=\[2, 4\]: expected .* rise from 1'),
    (dict(sizes=[1, 1]), r'sizes=\[1, 1\]'),
    (dict(sizes=[]), r'sizes=\[\]'),
    (dict(latencies_ms=[[1., 0.]]), r'latencies_ms\[0\] of 2 images=0.0'),
    (dict(latencies_ms=[[1.]]), r'latencies_ms\[0\]: 1 latencies'),
    (dict(latencies_ms=[]), r'accuracies=\[90.0\]: .*\(0\)'),
    (dict(accuracies=[float('nan')]), r'accuracies\[0\]=nan'),
])
def test_bad_arguments(given, words):
    """Oracle: the field and its value are in the message."""
    good = dict(sizes=[1, 2], latencies_ms=[[1., 2.]], accuracies=[90.])
    with pytest.raises(InputError, match=words):
        LatencyGrid(**{**good, **given})
