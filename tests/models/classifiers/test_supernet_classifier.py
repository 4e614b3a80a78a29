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
        head=dict(
            type='mmpretrain.LinearClsHead',
            num_classes=10,
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
    resized = F.interpolate(
        x, (resolution, ) * 2, mode='bilinear', align_corners=True)
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
    torch.testing.assert_close(losses['loss'], F.cross_entropy(teacher, labels))
    assert not teacher.requires_grad and losses['loss'].requires_grad
    supernet.switch_to(supernet.search_space.smallest)
    losses, logits = supernet(**data, mode='pass', teacher=teacher)
    p, q = teacher.softmax(1), logits.softmax(1)
    expected = (p * (p.log() - q.log())).sum(1).mean()
    torch.testing.assert_close(losses['loss'], expected)
    torch.testing.assert_close(losses['task'], F.cross_entropy(logits, labels))
    assert not losses['task'].requires_grad


def classifier(head, neck=None, **model):
    from pss.models import SupernetClassifier

    from ...conftest import classifier_config
    config = classifier_config(
        type='pss.SlimmableMobileNetV1', search_space=dict(resolutions=[32]))
    config.pop('type')
    config.update(head=head, **model)
    if neck is not None:
        config['neck'] = neck
    torch.manual_seed(0)
    return SupernetClassifier(**config)


SMOOTH = dict(
    type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1, num_classes=10)
LINEAR = dict(
    type='mmpretrain.LinearClsHead',
    num_classes=10,
    in_channels=1024,
    loss=SMOOTH)


@pytest.mark.parametrize('head, model', [
    (LINEAR, {}),
    (dict(
        type='mmpretrain.StackedLinearClsHead',
        num_classes=10,
        in_channels=1024,
        mid_channels=[64],
        loss=dict(type='mmpretrain.CrossEntropyLoss')), {}),
    (dict(
        type='mmpretrain.LinearClsHead',
        num_classes=10,
        in_channels=1024,
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_soft=True)),
     dict(
         data_preprocessor=dict(
             type='mmpretrain.ClsDataPreprocessor',
             num_classes=10,
             batch_augments=dict(augments=[
                 dict(type='Mixup', alpha=0.8),
                 dict(type='CutMix', alpha=1.0)
             ])))),
])
def test_heads_and_losses_of_mmpretrain(head, model):
    """Oracle: the head's own loss in mode='loss' at the same subnet."""
    from mmengine.registry import DefaultScope
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = classifier(head, **model)
    model.train()
    data = model.data_preprocessor(batch(8), True)
    teacher = model(**data, mode='pass')[1]
    model.switch_to(model.search_space.smallest)
    losses, _ = model(**data, mode='pass', teacher=teacher)
    expected = model(**data, mode='loss')['loss']
    torch.testing.assert_close(losses['task'], expected.detach())
    losses['loss'].backward()


def test_multi_label_head():
    """Oracle: the divergence of each class's two outcomes, written out."""
    from mmpretrain.structures import DataSample
    model = classifier(
        dict(
            type='mmpretrain.MultiLabelLinearClsHead',
            num_classes=10,
            in_channels=1024,
            loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True)))
    model.train()
    images = torch.randn(4, 3, 32, 32)
    samples = [
        DataSample().set_gt_score(torch.eye(10)[i] + torch.eye(10)[9])
        for i in range(4)
    ]
    data = dict(inputs=images, data_samples=samples)
    _, teacher = model(**data, mode='pass')
    model.switch_to(model.search_space.smallest)
    losses, logits = model(**data, mode='pass', teacher=teacher)
    p, q = teacher.sigmoid(), logits.sigmoid()
    expected = (p * (p / q).log() + (1 - p) * ((1 - p) /
                                               (1 - q)).log()).sum(1).mean()
    torch.testing.assert_close(losses['loss'], expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(losses['task'],
                               model(**data, mode='loss')['loss'].detach())


@pytest.mark.parametrize('head, neck, words', [
    (dict(
        type='mmpretrain.ArcFaceClsHead',
        num_classes=10,
        in_channels=1024,
        loss=dict(type='mmpretrain.CrossEntropyLoss')), None, 'ArcFaceClsHead'),
    (LINEAR,
     dict(
         type='mmpretrain.NonLinearNeck',
         in_channels=1024,
         hid_channels=8,
         out_channels=4), 'NonLinearNeck'),
])
def test_heads_that_cannot_work_are_refused(head, neck, words):
    """Oracle: the name of the part in the message."""
    with pytest.raises(InputError, match=words):
        classifier(head, neck)


def test_starting_from_mmpretrain_weights(tmp_path):
    """Oracle: mmpretrain's ResNet-18 classifier with the weights in the
    file."""
    from mmpretrain.models import ImageClassifier

    from pss.models import SupernetClassifier

    from ...conftest import classifier_config
    config = classifier_config(type='mmpretrain.ResNet', depth=18)
    config['head']['in_channels'] = 512
    config.pop('type')
    theirs = ImageClassifier(**config).eval()
    config['backbone'] = dict(
        type='pss.SlimmableResNet',
        depth=18,
        search_space=dict(resolutions=[48, 64]))
    config['head'] = dict(
        type='mmpretrain.LinearClsHead',
        num_classes=10,
        in_channels=512,
        loss=dict(type='mmpretrain.CrossEntropyLoss'))
    config['neck'] = dict(type='mmpretrain.GlobalAveragePooling')
    config['data_preprocessor'] = dict(type='mmpretrain.ClsDataPreprocessor')
    ours = SupernetClassifier(**config).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours(x), theirs(x))
