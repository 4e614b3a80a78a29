import numpy as np
import torch

from pss.deploy.network_difference import largest_difference


def test_nan_is_a_difference():
    """Oracle: NaN, on the image alone and on the batch alone."""
    images = torch.zeros(2, 1)
    for size in (1, 2):
        found = largest_difference(
            lambda x, size=size: x / float(len(x) != size),
            torch.zeros_like,
            images)
        assert np.isnan(found)
    assert largest_difference(lambda x: x + 2, lambda x: x, images) == 2
