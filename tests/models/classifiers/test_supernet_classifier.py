import pytest
import torch
from torch.nn import functional as F

from pss.errors import InputError
from pss.structures import Subnet

from ...conftest import batch


def test_logits_of_the_largest_equal_mmpretrain(supernet):
    """Oracle: mmpretrain's ImageClassifier with the same state dict."""
    from mmpretrain.models import ImageClassifier
    theirs = ImageClassifier(
        backbone=dict(type='mmpretrain.MobileNetV2'),
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(type='mmpretrain.LinearClsHead', num_classes=10,
                  in_channels=1280,
                  loss=dict(type='mmpretrain.CrossEntropyLoss')),
        data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor'))
    theirs.load_state_dict(supernet.state_dict(), strict=True)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(supernet.eval()(x, mode='tensor'), theirs.eval()(x))


@pytest.mark.parametrize('resolution', [16, 24, 32])
def test_resize(supernet, resolution):
    """Oracle: bilinear with align_corners=True, done outside the model."""
    supernet.eval()
    subnet = Subnet(resolution, supernet.search_space.smallest.widths)
    supernet.switch_to(subnet)
    x = torch.randn(2, 3, 32, 32)
    resized = F.interpolate(x, (resolution, ) * 2, mode='bilinear',
                            align_corners=True)
    assert torch.equal(supernet(x), supernet(resized))


def test_no_resize_at_the_resolution(supernet, monkeypatch):
    """Oracle: interpolate is not called."""
    monkeypatch.setattr(F, 'interpolate', None)
    supernet.eval()(torch.zeros(1, 3, 32, 32))


def test_channels_last_gives_the_same(supernet):
    """Oracle: the same network with channels first."""
    from pss.models import SupernetClassifier

    from ...conftest import classifier_config
    config = classifier_config(search_space=dict(resolutions=[16, 24, 32]))
    config.pop('type')
    other = SupernetClassifier(channels_last=True, **config).eval()
    other.load_state_dict(supernet.state_dict())
    x = torch.randn(2, 3, 32, 32)
    supernet.eval()
    for model in (supernet, other):
        model.switch_to(Subnet(24, supernet.search_space.smallest.widths))
    torch.testing.assert_close(other(x), supernet(x), atol=1e-5, rtol=1e-4)


def test_training_pass(supernet):
    """Oracle: cross-entropy, and KL divergence written as a double sum."""
    supernet.train()
    data = batch()
    labels = torch.cat([s.gt_label for s in data['data_samples']])
    losses, teacher = supernet(**data, mode='pass')
    torch.testing.assert_close(losses['loss'],
                               F.cross_entropy(teacher, labels))
    assert not teacher.requires_grad and losses['loss'].requires_grad
    supernet.switch_to(supernet.search_space.smallest)
    losses, logits = supernet(**data, mode='pass', teacher=teacher)
    p, q = teacher.softmax(1), logits.softmax(1)
    expected = (p * (p.log() - q.log())).sum(1).mean()
    torch.testing.assert_close(losses['loss'], expected)
    torch.testing.assert_close(losses['task'],
                               F.cross_entropy(logits, labels))
    assert not losses['task'].requires_grad


def test_only_the_largest_updates_running_statistics(supernet):
    """Oracle: the state dict before and after."""
    supernet.train()
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    space = supernet.search_space
    for subnet in (space.smallest, Subnet(24, space.largest.widths)):
        supernet.switch_to(subnet)
        supernet(**batch(), mode='pass')
    assert all(torch.equal(v, before[k])
               for k, v in supernet.state_dict().items())
    supernet.switch_to(space.largest)
    supernet(**batch(), mode='pass')
    assert not torch.equal(before['backbone.conv1.bn.running_mean'],
                           supernet.backbone.conv1.bn.running_mean)


def test_switching_to_an_unknown_subnet(supernet):
    """Oracle: the field in the message, and the active subnet before."""
    active = supernet.active_subnet
    with pytest.raises(InputError, match='resolution=64'):
        supernet.switch_to(Subnet(64, active.widths))
    assert supernet.active_subnet == active
