"""Necks of detectors; tests/detection builds the detectors themselves."""

import pytest
from mmengine.config import Config

from pss.config import check_detector, feature_channels
from pss.errors import InputError

BACKBONE = dict(
    type='pss.SlimmableMobileNetV2',
    out_indices=(4, 6),
    search_space=dict(resolutions=[24, 32]))
SUBNET = dict(resolution=24, widths=[24, 16, 24, 24, 48, 72, 120, 240])


def config_of(in_channels, **backbone):
    return Config(
        dict(
            model=dict(
                backbone=dict(BACKBONE, **backbone),
                neck=dict(type='FPN', in_channels=in_channels))))


@pytest.mark.parametrize('backbone, channels',
                         [({}, [96, 320]), (dict(subnet=SUBNET), [72, 240])])
def test_channels_are_filled_in(backbone, channels):
    """Oracle: the widths of MobileNetV2's stages, and those of the subnet."""
    config = config_of(None, **backbone)
    assert feature_channels(config.model.backbone) == channels
    check_detector(config)
    assert config.model.neck.in_channels == channels
    check_detector(config)  # it accepts what it filled in


def test_other_channels_are_refused():
    """Oracle: the given and the expected channels."""
    with pytest.raises(
            InputError,
            match=r'in_channels=\[96, 320\]: expected \[72, '
            r'240\].* as that subnet'):
        check_detector(config_of([96, 320], subnet=SUBNET))


@pytest.mark.parametrize('change', [
    dict(neck=None),
    dict(neck=dict(type='GlobalAveragePooling')),
    dict(backbone=dict(type='mmdet.ResNet', depth=50))
])
def test_other_models_stay(change):
    """Oracle: the config is unchanged."""
    config = config_of([1, 2])
    config.model.update(change)
    before = config.to_dict()
    check_detector(config)
    assert config.to_dict() == before
