import numpy as np
import torch

from pss.models.detectors.distillation import feature_divergence


def test_pearson_correlation():
    """Oracle: numpy's own coefficient of each channel, over images and pixels,
    averaged over channels and levels."""
    torch.manual_seed(0)
    pairs = [(torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)),
             (torch.randn(2, 2, 2, 2), torch.randn(2, 2, 2, 2))]
    levels = [
        np.mean([
            1 -
            np.corrcoef(a[:, c].numpy().ravel(), b[:, c].numpy().ravel())[0, 1]
            for c in range(a.shape[1])
        ]) for a, b in pairs
    ]
    found = feature_divergence(*zip(*pairs))
    assert abs(found.item() - np.mean(levels)) < 1e-5


def test_magnitudes_do_not_count():
    """Oracle: 0 for scaled and shifted features, 2 for their negatives; more
    channels and pixels of the teacher are cut off and resized."""
    x = torch.randn(2, 4, 6, 6)
    assert feature_divergence([x], [3 * x + 1]).abs() < 1e-4
    assert (feature_divergence([x], [-x]) - 2).abs() < 1e-4
    small = torch.nn.functional.interpolate(x, (3, 3), mode='bilinear')
    assert feature_divergence([x], [small[:, :2]]).abs() < 1e-4
