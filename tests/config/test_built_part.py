"""Parts found without a Runner; test_building.py has those found in one."""

import pytest
from mmengine.config import Config

from pss.config.built_part import built_part, config_of
from pss.registry import MODELS


def failure_of(function):
    with pytest.raises(Exception) as info:
        function()
    return info.value


def test_a_part_in_the_config_at_hand():
    """Oracle: the place in the config that a frame of the traceback holds."""

    def build():
        config = Config(dict(model=dict(type='A', head=dict(type='NoSuch'))))
        MODELS.build(config.model.head)

    assert built_part(failure_of(build)) == 'model.head'


def test_a_part_of_no_config():
    """Oracle: a part was being built, but its place is unknown."""
    error = failure_of(lambda: MODELS.build(dict(type='NoSuch')))
    assert built_part(error) == '' and config_of(error) is None


def test_nothing_was_built():
    """Oracle: a plain exception."""
    assert built_part(failure_of(lambda: 1 / 0)) is None
