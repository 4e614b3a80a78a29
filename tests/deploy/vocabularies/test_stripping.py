"""What of a config a bank keeps."""

import pytest

from pss.deploy.vocabularies.stripping import classifier_steps, detector_steps


def test_detector_steps():
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
    assert detector_steps(pipeline) == [
        dict(type='LoadImageFromFile'),
        dict(type='mmdet.Resize', scale=[96, 64], keep_ratio=True),
        dict(type='PackDetInputs', meta_keys=['img_shape'])
    ]
    assert pipeline == before
    kept = [dict(type='LoadImageFromFile', backend_args=dict(backend='http'))]
    assert detector_steps(kept) == kept


def test_classifier_steps():
    """Oracle: written by hand: defaults and what is carried along are gone,
    what changes an image stays, and the config is as it was."""
    pipeline = [
        dict(type='LoadImageFromFile', backend_args=None),
        dict(
            type='mmpretrain.CenterCrop',
            crop_size=8,
            auto_pad=False,
            clip_object_border=False),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='PackInputs', meta_keys=['img_shape']),
    ]
    before = [dict(step) for step in pipeline]
    assert classifier_steps(pipeline) == [
        dict(type='LoadImageFromFile'),
        dict(
            type='mmpretrain.CenterCrop', crop_size=8,
            clip_object_border=False),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='PackInputs')
    ]
    assert pipeline == before


@pytest.mark.parametrize('strip', [classifier_steps, detector_steps])
def test_other_classes_keep_their_keys(strip):
    """Oracle: the config, whose class may have other defaults."""
    steps = [dict(type='MyResize', scale_factor=None), dict(scale=3)]
    assert strip(steps) == steps
