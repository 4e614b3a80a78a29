"""The parts of a config that a bank keeps."""

import copy

import pytest
from mmengine.config import ConfigDict

from pss.deploy.vocabularies import check_testing
from pss.deploy.vocabularies.stripping import (
    classifier_steps,
    detector_steps,
    kept_testing,
)

from .test_testing import DATASET, STEPS, TESTING


def test_detector_steps():
    """Oracle: by hand: defaults and annotations are gone, what changes an image
    stays, and the config itself is unchanged."""
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
    """Oracle: by hand: defaults and meta_keys are gone, what changes an image
    stays, and the config itself is unchanged."""
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
    """Oracle: the same steps; other classes may have other defaults."""
    steps = [dict(type='MyResize', scale_factor=None), dict(scale=3)]
    assert strip(steps) == steps


def test_kept_testing():
    """Oracle: the same testing without the defaults; other values stay."""
    written = ConfigDict(
        dataloader=dict(
            TESTING['dataloader'],
            pin_memory=True,
            batch_sampler=None,
            _scope_='mmpretrain',
            dataset=dict(
                DATASET,
                metainfo=None,
                filter_cfg=None,
                pipeline=(dict(STEPS[0], backend_args=None), STEPS[1],
                          dict(STEPS[2],
                               meta_keys=('img_path', 'ori_shape'))))),
        evaluator=dict(
            TESTING['evaluator'], prefix=None, thrs=None, _scope_='mmpretrain'))
    former = copy.deepcopy(written)
    found = kept_testing(written.dataloader, written.evaluator)
    assert written == former
    wanted = copy.deepcopy(TESTING)
    wanted['evaluator']['thrs'] = None  # no threshold; by default it is 0
    assert found == wanted
    check_testing(found, 'x')
    keys = ['img_path', 'gt_label_difficult']
    written.dataloader.dataset.pipeline[2].meta_keys = keys
    found = kept_testing(written.dataloader, written.evaluator)
    assert found['dataloader']['dataset']['pipeline'][2]['meta_keys'] == keys
    others = dict(type='mine.Metric', prefix=None)
    assert kept_testing({}, [others])['evaluator'] == [others]
