"""Checking the images of a folder before anything is built."""

import pytest

from pss.apis import load_config
from pss.cli import inspect_data, verify_config
from pss.config import fill_from_data
from pss.datasets import list_folder, split_folder
from pss.errors import InputError

from ..images import write_folder
from ..paths import ROOT


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / 'data')


@pytest.fixture
def config(folder, tmp_path):
    config = load_config(ROOT / 'configs' / 'pss_mbv2_folder.py')
    config.data_root = str(folder)
    config.work_dir = str(tmp_path / 'work')
    config.train_dataloader.batch_size = 8
    return config


def test_a_good_folder(config, folder):
    """Oracle: the split of the folder; numbers and sizes by hand. A config that
    was inspected is not inspected again."""
    verify_config(config)
    lines = inspect_data(config)
    assert lines == [
        f"{folder}: 3 classes: ['ant', 'bee', 'cow']",
        'Images to train: 24, to hold out: 3, to test: 3',
        'Shorter sides of images: 28 to 28 pixels, median 28; subnets take '
        "resolutions={'start': 18, 'stop': 28, 'step': 2}",
        'test_cfg.search=None: 3 images are held out, and a search needs 100; '
        'instead the five best subnets of each pool by score are tried'
    ]
    assert config.test_cfg.search is None
    digest = split_folder(list_folder(str(folder))).digest
    for part in (config.data, config.train_dataloader.dataset,
                 config.test_cfg.selection_dataloader.dataset):
        assert (part.digest, part.skipped) == (digest, [])
    (folder / 'ant' / '00.png').write_bytes(b'')
    assert inspect_data(config) == []


def test_all_problems_at_once(config, folder, tmp_path):
    """Oracle: each of them, in one line; the file has what the message cuts."""
    for i in range(10):
        (folder / 'ant' / f'{i:02d}.png').write_bytes(b'no image')
    for i in range(8):
        (folder / 'bee' / f'{i:02d}.png').unlink()
    (folder / 'cow' / '03.png').write_bytes(b'')
    (folder / 'dog').mkdir()
    verify_config(config)
    with pytest.raises(InputError) as error:
        inspect_data(config)
    message, listed = str(error.value), tmp_path / 'work/broken_images.txt'
    for words in (f"data_root='{folder}': dog: has no image",
                  "class 'ant': images that can be used: 0; expected 3",
                  "class 'bee': images that can be used: 2; expected 3",
                  'images that cannot be used: 11 (ant/00.png is no image; ',
                  f'; ...; all in {listed}): repair', 'data.skip_broken=True'):
        assert words in message
    lines = listed.read_text().splitlines()
    assert len(lines) == 11 and lines[-1] == 'cow/03.png is empty'


def test_an_earlier_list_of_broken_images(config, tmp_path):
    """Oracle: SPEC: the file lists every such image, here none."""
    listed = tmp_path / 'work/broken_images.txt'
    listed.parent.mkdir()
    listed.write_text('of another folder')
    verify_config(config)
    inspect_data(config)
    assert not listed.exists()


def test_broken_images_are_skipped(config, folder):
    """Oracle: they are in no part, and in the log."""
    for name in ('ant/03.png', 'cow/07.png'):
        (folder / name).write_bytes(b'')
    config.data.skip_broken = True
    verify_config(config)
    lines = inspect_data(config)
    assert 'Images to train: 22, to hold out: 3, to test: 3' in lines
    assert lines[-2].startswith(
        'Skipped images: 2 (ant/03.png is empty; cow/07.png is empty; all in ')
    for part in (config.data, config.test_dataloader.dataset):
        assert part.skipped == ['ant/03.png', 'cow/07.png']


@pytest.mark.parametrize('num, training, searches', [(49, True, False),
                                                     (50, True, True),
                                                     (49, False, True)])
def test_search(config, tmp_path, num, training, searches):
    """Oracle: the least number of held-out images that a search takes, here of
    two classes; a tool that searches says itself that there are too few."""
    folder = write_folder(tmp_path / 'more', ('a', 'b'), 2 * num, 28)
    config.data_root = str(folder)
    config.data.held_out = 0.5
    if not training:
        config.train_dataloader = None
    fill_from_data(config)
    inspect_data(config)
    assert (config.test_cfg.search is not None) == searches


def test_too_few_images_for_a_batch(config):
    """Oracle: the number of images and the field."""
    config.train_dataloader.batch_size = 25
    verify_config(config)
    with pytest.raises(
            InputError,
            match='24 images train: expected at least '
            '25, .*batch_size to at most 24'):
        inspect_data(config)


def test_an_annotation_file(config, folder, tmp_path):
    """Oracle: the images in the list, one of which is damaged and one missing;
    they cannot be skipped."""
    names = [f'{name}/0{i}.png' for name in ('ant', 'bee') for i in range(5)]
    listed = tmp_path / 'list.txt'
    listed.write_text('\n'.join(f'{name} 0' for name in names))
    tested, validated = config.test_cfg, config.val_cfg
    for loader in (config.train_dataloader, config.val_dataloader,
                   config.test_dataloader, tested.selection_dataloader,
                   tested.calibration_dataloader,
                   validated.calibration_dataloader):
        loader.dataset = dict(
            type='CustomDataset',
            data_prefix=str(folder),
            ann_file=str(listed),
            classes=['a', 'b'])
    verify_config(config)
    assert inspect_data(config)[0] == 'Images that were checked: 10'
    (folder / names[3]).write_bytes(b'')
    (folder / names[7]).unlink()
    with pytest.raises(
            InputError,
            match='cannot be used: 2 .*ant/03.png is '
            'empty; .*bee/02.png cannot be read .*No such file'):
        inspect_data(config)
    config.data.skip_broken = True
    with pytest.raises(InputError, match='data.skip_broken=True: expected Fal'):
        inspect_data(config)


def test_data_of_another_kind(tiny_config):
    """Oracle: nothing to say, and an unchanged config."""
    before = tiny_config.to_dict()
    assert inspect_data(tiny_config) == []
    assert tiny_config.to_dict() == before
