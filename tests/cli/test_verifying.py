"""Checks of a whole config."""

import pytest

from pss.cli import strip_training, verify_config
from pss.errors import InputError


def test_supernets_are_not_compiled(tiny_config):
    """Oracle: the message says what is expected."""
    tiny_config.compile = True
    with pytest.raises(InputError, match='compile=True.*export_subnet'):
        verify_config(tiny_config)


@pytest.mark.parametrize(
    'field, value, words',
    [('sync_bn', 'mmcv', "sync_bn='mmcv': .*expected None or 'torch'"),
     ('work_dir', '/proc/work', "work_dir='/proc/work': cannot be written to"),
     ('model', None, 'model is missing'),
     ('custom_hooks', [3], r'custom_hooks\[0\]=3: expected a dict')])
def test_what_is_refused(tiny_config, field, value, words):
    """Oracle: the message names the field and its value."""
    tiny_config[field] = value
    with pytest.raises(InputError, match=words):
        verify_config(tiny_config)


def test_only_testing_is_left(tiny_config):
    """Oracle: the fields that MMEngine's Runner needs for training and
    validation are None, those for testing stay; the config is still valid."""
    before = tiny_config.to_dict()
    strip_training(tiny_config, 'a.pth')
    for part in ('dataloader', 'cfg'):
        for stage in ('train', 'val'):
            assert tiny_config[f'{stage}_{part}'] is None
        assert tiny_config.to_dict()[f'test_{part}'] == before[f'test_{part}']
    assert tiny_config.optim_wrapper is tiny_config.param_scheduler is None
    assert (tiny_config.load_from, tiny_config.resume) == ('a.pth', False)
    verify_config(tiny_config)
