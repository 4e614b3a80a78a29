"""Accuracy of many subnets."""

import pytest
import torch
from mmpretrain.evaluation import Accuracy

from pss.evaluation import SubnetAccuracy


def predictions(num=57, classes=10):
    torch.manual_seed(0)
    return [
        dict(pred_score=torch.rand(classes), gt_label=torch.tensor([i % 7]))
        for i in range(num)
    ]


def test_equals_mmpretrain():
    """Oracle: mmpretrain's Accuracy on the same predictions."""
    samples = predictions()
    ours, theirs = SubnetAccuracy(topk=(1, 5)), Accuracy(topk=(1, 5))
    for start in range(0, len(samples), 10):
        for metric in (ours, theirs):
            metric.process(None, samples[start:start + 10])
    expected = theirs.evaluate(len(samples))
    found = ours.evaluate(len(samples))
    assert found['accuracy/top1'] == pytest.approx(expected['accuracy/top1'])
    assert found['accuracy/top5'] == pytest.approx(expected['accuracy/top5'])


def test_counts_are_reset_after_evaluating():
    """Oracle: the same figure the second time."""
    metric = SubnetAccuracy()
    found = []
    for _ in range(2):
        metric.process(None, predictions())
        found.append(metric.evaluate(57))
    assert found[0] == found[1]


def test_images_counted_twice_are_noticed():
    """Oracle: both numbers in the message."""
    metric = SubnetAccuracy()
    metric.process(None, predictions(58))
    with pytest.raises(ValueError, match='58 predictions for 57 images'):
        metric.evaluate(57)
