import torch

from pss.models.detectors.scaling import scale_images, scaled_size

# tests/detection/test_supernet_detector.py scales boxes, with MMDetection


def test_sizes():
    """Oracle: by hand; never less than one pixel."""
    assert scaled_size((800, 1333), 0.75) == (600, 1000)
    assert scaled_size((3, 2), 0.1) == (1, 1)


def test_images():
    """Oracle: an edge at x is at scale * x: half of the columns are bright
    before and after; images of the same size are the same tensor."""
    images = torch.zeros(1, 3, 8, 8)
    images[..., 4:] = 1.
    assert scale_images(images, 1.) is images
    half = scale_images(images, 0.5)
    assert half.shape == (1, 3, 4, 4)
    assert half[0, 0, 0].tolist() == [0., 0., 1., 1.]
