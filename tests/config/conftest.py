"""Shared by the tests of configs."""

import copy

import pytest

from pss.apis import load_config

from ..paths import ROOT
from ..training import shrink

DEMO = ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py'


@pytest.fixture(scope='module')
def small(tiny_fashion_mnist, tmp_path_factory):
    """A function that returns the demo's config on tiny data, with one field
    changed."""
    folder = tmp_path_factory.mktemp('work')
    read = load_config(DEMO)

    def changed(path=None, value=None):
        config = shrink(
            copy.deepcopy(read), tiny_fashion_mnist, folder / 'work')
        if path is not None:
            *parents, key = path.split('.')
            place = config
            for name in parents:
                place = place[name]
            place[key] = value
        return config

    return changed
