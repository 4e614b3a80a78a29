"""One part of a folder of classes."""

import pytest

from pss.datasets import list_folder, split_folder
from pss.errors import InputError
from pss.registry import DATASETS

from ..images import write_folder

PIPELINE = [
    dict(type='mmpretrain.LoadImageFromFile'),
    dict(type='mmpretrain.PackInputs')
]


def build(root, part='train', **options):
    return DATASETS.build(
        dict(
            type='pss.FolderDataset',
            data_root=str(root),
            part=part,
            pipeline=PIPELINE,
            **options))


@pytest.mark.parametrize('part, num', [('train', 21), ('held_out', 6),
                                       ('test', 3)])
def test_images_and_labels(class_folder, part, num):
    """Oracle: the split's; labels by the folders' names."""
    dataset = build(class_folder, part, held_out=0.2)
    split = split_folder(list_folder(str(class_folder)), held_out=0.2)
    assert len(dataset) == num
    assert dataset.metainfo['classes'] == ('ant', 'bee', 'cow')
    for i, (path, label) in enumerate(split.images[part]):
        sample = dataset[i]['data_samples']
        assert sample.img_path == str(class_folder / path)
        assert dataset.CLASSES[label] == path.split('/')[0]
        assert sample.gt_label == label


def test_a_changed_folder(tmp_path):
    """Oracle: the digest of the split that was expected; without one, and for
    what is in no part, any folder will do."""
    folder = write_folder(tmp_path / 'data')
    digest = split_folder(list_folder(str(folder))).digest
    assert len(build(folder, digest=digest)) == 24
    (folder / 'ant' / '.hidden.png').touch()
    build(folder, digest=digest)
    (folder / 'ant' / '00.png').rename(folder / 'ant' / 'new.png')
    with pytest.raises(InputError, match=f'^data.digest={digest!r}: .*None'):
        build(folder, digest=digest)
    build(folder)


def test_problems(tmp_path):
    """Oracle: all of them in one line."""
    folder = write_folder(tmp_path / 'data', num=2)
    (folder / 'none').mkdir()
    with pytest.raises(InputError, match="data_root=.*none: .*'ant'.*'bee'"):
        build(folder)
    with pytest.raises(InputError, match="part='val': expected one of"):
        build(folder, 'val')
