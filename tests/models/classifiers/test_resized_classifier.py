import torch
from torch.nn import functional as F

from pss.models import ResizedClassifier

from ...conftest import classifier_config


def test_resizes_inside_the_model():
    """Oracle: the same network on images resized outside, bilinear with aligned
    corners; images of the right size are used as they are."""
    config = classifier_config(type='mmpretrain.MobileNetV2')
    config.pop('type')
    torch.manual_seed(0)
    model = ResizedClassifier(resolution=24, **config).eval()
    images = torch.randn(2, 3, 32, 32)
    small = F.interpolate(images, (24, 24), mode='bilinear', align_corners=True)
    with torch.no_grad():
        assert torch.equal(model(images), model(small))
        model.resolution = 32
        assert not torch.equal(model(images), model(small))
