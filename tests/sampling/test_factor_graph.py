import numpy as np
import pytest

from pss.sampling.factor_graph import cost_range, tilted_prior

from .enumeration import prior_of


def test_normaliser_equals_the_sum_over_all_subnets(imagenet_flops):
    """Oracle: the tilted prior summed over the enumerated space."""
    space = imagenet_flops.space
    rates = np.linspace(-0.3, 0.3, len(space.resolutions))
    codes = space.enumerate()
    weights = prior_of(space, codes) * len(space.resolutions) * np.exp(
        -rates[codes[:, 0]] * imagenet_flops(codes))
    sums = np.bincount(codes[:, 0], weights)
    assert tilted_prior(imagenet_flops, rates).log_normaliser == pytest.approx(
        np.log(sums), rel=1e-12)


def test_cost_range_equals_enumeration(imagenet_flops):
    """Oracle: smallest and largest of the enumerated costs."""
    codes = imagenet_flops.space.enumerate()
    cost = imagenet_flops(codes)
    low, high = cost_range(imagenet_flops)
    for r in range(len(low)):
        mine = cost[codes[:, 0] == r]
        assert (low[r], high[r]) == pytest.approx((mine.min(), mine.max()))
