"""The lists for detectors, without MMDetection."""

import pytest

from pss.deploy.vocabularies import detectors
from pss.errors import InputError


def test_mmdet_is_optional(monkeypatch):
    """Oracle: the module can be imported without it; a detector's config is
    then one error that says what is missing and where to read more."""
    monkeypatch.setattr(detectors, 'find_spec', lambda name: None)
    for check in (detectors.check_detector, detectors.check_detector_pipeline):
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
    """Oracle: the classes around mmdet's detectors, and no other value."""
    assert detectors.is_detector(model) is wanted
