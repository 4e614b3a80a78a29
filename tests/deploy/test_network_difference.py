import numpy as np
import pytest
import torch

from pss.deploy.network_difference import allowed_difference, largest_difference


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


def test_allowed_difference():
    """Oracle: by hand; a network that rounds to thousandths."""

    class Magnified(torch.nn.Module):

        def forward(self, x):
            return x + 1e4 - 1e4

    images = torch.full((2, 1, 1, 1), 1 / 3)
    rounding = (Magnified()(images) -
                Magnified()(images.double())).abs().max().item()
    assert rounding > 1e-4
    asked = []

    def plain():
        asked.append(1)
        return Magnified()

    for found, wanted in ((1e-5, 1e-4), (1., 4 * rounding)):
        assert allowed_difference(Magnified(), plain, images, 1e-4,
                                  found) == pytest.approx(wanted)
    assert len(asked) == 1
    assert allowed_difference(lambda x: 30 * x, plain, images, 1e-4,
                              0.) == pytest.approx(1e-3)
