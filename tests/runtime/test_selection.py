from itertools import product

import numpy as np
import pytest

from pss.deploy import KeptSubnet
from pss.errors import InputError
from pss.runtime.selection import check_limits, most_accurate
from pss.structures import Subnet

RESOURCES = dict(flops='MFLOPs', latency_cpu='us', other='')


def subnets(num=30, seed=0):
    rng = np.random.default_rng(seed)
    return [
        KeptSubnet(f'flops {i}', Subnet(8, (i, )),
                   dict(zip(RESOURCES,
                            rng.integers(1, 20, 3) * 1.)),
                   float(rng.integers(60, 70))) for i in range(num)
    ]


def test_equals_brute_force():
    """Oracle: the best of the subnets within all limits, found by hand, for
    every combination of limits, including exactly met ones; without limits the
    most accurate of all."""
    kept = subnets()
    found = 0
    for limits in product([None, 4., 9., 20.], repeat=3):
        limits = {k: v for k, v in zip(RESOURCES, limits) if v is not None}
        best = None
        for entry in kept:
            if all(entry.costs[k] <= v
                   for k, v in limits.items()) and (best is None
                                                    or entry.held_out_accuracy
                                                    > best.held_out_accuracy):
                best = entry
        if best is None:
            with pytest.raises(InputError, match='no subnet fits'):
                most_accurate(kept, limits, RESOURCES)
            continue
        chosen = most_accurate(kept, limits, RESOURCES)
        assert chosen.held_out_accuracy == best.held_out_accuracy
        assert all(chosen.costs[k] <= v for k, v in limits.items())
        found += 1
    assert found > 40


def test_the_cheapest_of_equals():
    """Oracle: costs in the order of the limits."""
    costs = [
        dict(flops=3., latency_cpu=1., other=1.),
        dict(flops=2., latency_cpu=5., other=1.)
    ]
    kept = [
        KeptSubnet(str(i), Subnet(8, (i, )), c, 70.)
        for i, c in enumerate(costs)
    ]
    assert most_accurate(kept, dict(flops=9.), RESOURCES).name == '1'
    assert most_accurate(kept, dict(latency_cpu=9., flops=9.),
                         RESOURCES).name == '0'


def test_the_nearest_and_what_it_needs():
    """Oracle: the smallest factor by which limits are exceeded, by hand; the
    limits that it names select it."""
    costs = [
        dict(flops=100.00001, latency_cpu=50., other=1.),
        dict(flops=60., latency_cpu=3000., other=1.)
    ]
    kept = [
        KeptSubnet(name, Subnet(8, (i, )), c, 70.)
        for i, (name, c) in enumerate(zip('ab', costs))
    ]
    with pytest.raises(
            InputError,
            match=(r"no subnet fits flops=50; the nearest is 'b', which needs "
                   'flops=60 MFLOPs$')):
        most_accurate(kept, dict(flops=50.), RESOURCES)
    with pytest.raises(
            InputError,
            match=
        (r'no subnet fits flops=60, latency_cpu=60 \(each limit can be met, '
         r"but not all at once\); the nearest is 'a', which needs "
         r'flops=100.01 MFLOPs, latency_cpu=50 us$')):
        most_accurate(kept, dict(flops=60., latency_cpu=60.), RESOURCES)
    assert most_accurate(kept, dict(flops=100.01, latency_cpu=50.),
                         RESOURCES).name == 'a'


@pytest.mark.parametrize('limits, words', [
    (dict(flop=3), r"flop=3: unknown resource \(did you mean 'flops'\?\); "
     r'expected flops \(MFLOPs\), latency_cpu \(us\), other$'),
    (dict(flops=-1), 'flops=-1: expected a number above 0'),
    (dict(flops=0), 'flops=0'),
    (dict(flops=float('nan')), 'flops=nan'),
    (dict(flops=True), 'flops=True'),
    (dict(flops='5'), "flops='5'"),
    (dict(flops=None), 'flops=None'),
    (dict(flops=[3]), 'flops='),
])
def test_bad_limits(limits, words):
    """Oracle: the limit, and what was expected."""
    with pytest.raises(InputError, match=words):
        check_limits(limits, RESOURCES)
