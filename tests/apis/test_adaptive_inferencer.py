import dataclasses

import cv2
import numpy as np
import pytest
from mmpretrain import ImageClassificationInferencer

from pss.apis import AdaptiveClassifier, AdaptiveInferencer
from pss.deploy import read_bank
from pss.deploy.exporter import Exporter
from pss.errors import InputError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder of three photos, of different sizes."""
    folder = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = rng.integers(0, 256, (40 + i, 50, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{i}.png'), pixels)
    return folder


@pytest.fixture(scope='module')
def paths(folder):
    return sorted(map(str, folder.iterdir()))


def check_equal(results, others):
    assert len(results) == len(others)
    for result, other in zip(results, others):
        assert list(result) == list(other)
        scores, expected = (r.pop('pred_scores') for r in (result, other))
        np.testing.assert_allclose(scores, expected, atol=1e-6)
        assert result.pop('pred_score') == pytest.approx(
            other.pop('pred_score'), abs=1e-6)
        assert result == other


def test_mmpretrain(bank, paths, tmp_path):
    """Oracle: mmpretrain's own inferencer, for the same subnet's plain network,
    whose config reads the images as the bank does."""
    contents = read_bank(bank)
    contents = dataclasses.replace(
        contents,
        testing=dict(
            dataloader=dict(
                batch_size=1,
                sampler=dict(type='DefaultSampler'),
                dataset=dict(type='CustomDataset', pipeline=contents.pipeline)),
            evaluator=dict(type='Accuracy')))
    record = Exporter(contents).export(contents.kept[0], 'torch', tmp_path)
    path = tmp_path / record['file']
    plain = ImageClassificationInferencer(
        str(path.with_suffix('.py')),
        str(path),
        device='cpu',
        classes=contents.classes)
    inferencer = AdaptiveInferencer(bank)
    inferencer.classifier.switch(contents.kept[0].name)
    for batch_size in (1, 2):
        check_equal(
            inferencer(paths, batch_size=batch_size),
            plain(paths, batch_size=batch_size))
    one, other = (
        i(paths[0], return_datasamples=True)[0] for i in (inferencer, plain))
    assert type(one) is type(other)
    assert one.pred_label == other.pred_label
    np.testing.assert_allclose(one.pred_score, other.pred_score, atol=1e-6)


def test_limits(bank, paths, folder):
    """Oracle: the classifier, switched to the subnet; a call with limits leaves
    the active one as it is."""
    classifier = AdaptiveClassifier(bank)
    inferencer = AdaptiveInferencer(AdaptiveClassifier(bank))
    before = inferencer.classifier.active
    for kept in classifier.subnets:
        limit = kept.costs['flops']
        classifier.switch(flops=limit)
        found = inferencer(paths, flops=limit, batch_size=2)
        check_equal(found, classifier.predict(paths))
        assert inferencer.classifier.active == before
    classifier.switch()
    check_equal(
        inferencer(str(folder), batch_size=3), classifier.predict(paths))
    assert inferencer([]) == []


def test_drawing(bank, paths, tmp_path):
    """Oracle: one picture for each image, by its name."""
    AdaptiveInferencer(bank)(paths, show_dir=str(tmp_path / 'out'))
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == [
        '0.png', '1.png', '2.png'
    ]


@pytest.mark.parametrize('options, words', [
    (dict(flop=15), "limit flop=15: unknown resource"),
    (dict(flops=-1), 'above 0'),
    (dict(flops=1e-9), 'the nearest is'),
    (dict(batch_size=0), 'batch_size=0: expected'),
])
def test_mistakes(bank, paths, options, words):
    """Oracle: the classifier's own messages."""
    with pytest.raises(InputError, match=words):
        AdaptiveInferencer(bank)(paths, **options)
