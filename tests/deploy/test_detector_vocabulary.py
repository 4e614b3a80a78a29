"""The lists for detectors where MMDetection is not installed."""

import pytest

from pss.deploy import detector_vocabulary
from pss.errors import InputError


def test_mmdet_is_optional(monkeypatch):
    """Oracle: the module is imported without it; a detector's config is then
    one error that says what is missing and where to read on."""
    monkeypatch.setattr(detector_vocabulary, 'find_spec', lambda name: None)
    for check in (detector_vocabulary.check_detector,
                  detector_vocabulary.check_detector_pipeline):
        with pytest.raises(
                InputError, match='here: .*needs MMDetection.*'
                'docs/detection.md'):
            check({}, 'here')


@pytest.mark.parametrize('model, wanted',
                         [(dict(type='pss.SupernetDetector'), True),
                          (dict(type='pss.ResizedDetector'), True),
                          (dict(type='pss.SupernetClassifier'), False),
                          (dict(type='mmdet.RetinaNet'), False),
                          (dict(type=['pss.SupernetDetector']), False),
                          (dict(), False), (None, False),
                          ('pss.SupernetDetector', False)])
def test_is_detector(model, wanted):
    """Oracle: the classes around mmdet's detectors, and nothing else."""
    assert detector_vocabulary.is_detector(model) is wanted


def test_steps():
    """Oracle: written by hand: defaults and annotations are gone, what
    changes an image stays, and the config is as it was."""
    pipeline = [
        dict(type='LoadImageFromFile', backend_args=None),
        dict(
            type='mmdet.Resize',
            scale=[96, 64],
            keep_ratio=True,
            clip_object_border=True,
            scale_factor=None),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='PackDetInputs', meta_keys=['img_shape']),
    ]
    before = [dict(step) for step in pipeline]
    assert detector_vocabulary.detector_steps(pipeline) == [
        dict(type='LoadImageFromFile'),
        dict(type='mmdet.Resize', scale=[96, 64], keep_ratio=True),
        dict(type='PackDetInputs', meta_keys=['img_shape'])
    ]
    assert pipeline == before
    kept = [dict(type='LoadImageFromFile', backend_args=dict(backend='http'))]
    assert detector_vocabulary.detector_steps(kept) == kept
