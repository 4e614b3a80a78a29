"""The neighbour that makes cores slow for a moment."""

import os
import resource

import numpy as np
import pytest

from pss.errors import InputError


@pytest.fixture
def bench(script):
    """The script's module."""
    return script('neighbour')


def test_moments(bench):
    """Oracle: the distributions that they are drawn from: uniform lengths, and
    as many as fit, to four standard deviations."""
    found = np.array(bench.moments(5000., 2., (0.1, 0.3), 0))
    lengths = found[:, 1] - found[:, 0]
    assert 0.1 <= lengths.min() < 0.11 and 0.29 < lengths.max() <= 0.3
    assert (np.diff(found.ravel()) > 0).all() and found[-1, 1] <= 5000
    expected = 5000 / 2.2
    assert abs(len(found) - expected) < 4 * np.sqrt(expected)


def test_all_cores_are_busy(run_script):
    """Oracle: the CPU time that the kernel counts: of each core nearly all that
    the moments last, as far as others leave it, and no more."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    text = run_script('neighbour', 1.5, '--every', 0.3, '--last', 0.2, 0.3)
    took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    share = float(text.split('cores, ')[1].split()[0]) / 100
    cores = len(os.sched_getaffinity(0))
    assert f'on {cores} cores' in text and share > 0.1
    assert 0.2 * share < took / (1.5 * cores) < share + 0.1


def test_bad_arguments(run_script):
    """Oracle: the field, its value and what was expected."""
    for words, message in ((['0'], '--seconds=0'),
                           (['1', '--last', '0.3', '0.1'],
                            r'--last\[1\]=0.1.* 0.3'), (['1', '--every',
                                                         '-1'], '--every=-1')):
        with pytest.raises(InputError, match=message):
            run_script('neighbour', *words)
