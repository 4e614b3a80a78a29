"""Finding the configs and tools that come with the package."""

import pytest

from pss_command import carried
from pss_command.carried import carried_configs, find_config, nearest_config

from ..paths import ROOT


def test_all_configs():
    """Oracle: the files in both folders of configs. As mim does, configs are
    found by their base names, so no two may have the same."""
    files = [
        *(ROOT / 'configs').glob('*.py'),
        *(ROOT / 'configs/detection').glob('*.py')
    ]
    assert set(carried_configs().values()) == set(files)
    assert len(carried_configs()) == len(files)
    every = [path.name for path in (ROOT / 'configs').rglob('*.py')]
    assert all(every.count(path.name) == 1 for path in files)


@pytest.mark.parametrize('name', [
    'pss_mbv2_imagenet', 'pss_mbv2_imagenet.py', 'configs/pss_mbv2_imagenet.py',
    'configs/pss_mbv2_imagenet', './pss_mbv2_imagenet.py'
])
def test_find_config(name, tmp_path, monkeypatch):
    """Oracle: the file of that name in configs/."""
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == ROOT / 'configs/pss_mbv2_imagenet.py'


@pytest.mark.parametrize('name', [
    'ssdlite_mbv2_coco_fixed', 'detection/ssdlite_mbv2_coco_fixed',
    'configs/detection/ssdlite_mbv2_coco_fixed.py'
])
def test_find_config_for_detection(name, tmp_path, monkeypatch):
    """Oracle: the file of that name in configs/detection/."""
    monkeypatch.chdir(tmp_path)
    found = find_config(name)
    assert found == ROOT / 'configs/detection/ssdlite_mbv2_coco_fixed.py'


def test_that_own_files_come_first(tmp_path, monkeypatch):
    """Oracle: the file in the working directory."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / 'pss_mbv2_imagenet.py'
    own.write_text('model = dict()')
    assert find_config(own.name).resolve() == own
    (tmp_path / 'pss_mbv1_imagenet').mkdir()  # a folder is no config
    found = find_config('pss_mbv1_imagenet')
    assert found == ROOT / 'configs/pss_mbv1_imagenet.py'


@pytest.mark.parametrize('name', [
    '', '.', 'nothing', 'mine/pss_mbv2_imagenet.py', 'default_runtime',
    '_base_/models/pss_mbv2.py', '../configs/pss_mbv2_imagenet.py',
    '/configs/pss_mbv2_imagenet.py', 'pss_mbv2_imagenet.json'
])
def test_what_is_not_found(name, tmp_path, monkeypatch):
    """Oracle: a path of the user's own that does not exist is a mistake, even
    if a config of the package has its base name."""
    monkeypatch.chdir(tmp_path)
    assert find_config(name) is None


def test_nearest_config():
    """Oracle: the name without the mistake."""
    assert nearest_config('pss_mvb2_imagenet.py') == 'pss_mbv2_imagenet'
    assert nearest_config('xyz') is None


def test_installed_package(tmp_path, monkeypatch):
    """Oracle: the layout of the wheel, which comes before a checkout's."""
    monkeypatch.setattr(carried, 'ROOT', tmp_path)
    assert carried.carried_folder() == tmp_path
    (tmp_path / 'pss/.mim').mkdir(parents=True)
    assert carried.carried_folder() == tmp_path / 'pss/.mim'
