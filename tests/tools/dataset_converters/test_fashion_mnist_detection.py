import shutil

import pytest

DETECTION = 'dataset_converters/fashion_mnist_detection.py'


@pytest.mark.parametrize('sizes', [(0, 0, 0, 0), (800, 9, 800, 9)])
def test_images_that_are_not_whole(refuse, tmp_path, sizes):
    """Oracle: the file in the line, nothing written; labels above 9."""
    for name, size in zip(('train-images-idx3', 'train-labels-idx1',
                           't10k-images-idx3', 't10k-labels-idx1'), sizes):
        (tmp_path / f'{name}-ubyte').write_bytes(b'\x20' * size)
    line = refuse(DETECTION, '--source', '.', '--out', 'out')
    assert 'train-labels-idx1-ubyte' in line
    assert not (tmp_path / 'out').exists()


def test_detection_data_replaces_its_own_alone(refuse, tmp_path,
                                               tiny_fashion_mnist):
    """Oracle: a user's file in a folder like one that the tool wrote is
    kept."""
    out = tmp_path / 'out'
    for name in ('annotations/mine.json', 'train/a.txt', 'test/00001.png/x'):
        mine = out / name
        mine.parent.mkdir(parents=True)
        mine.write_text('kept')
        assert 'would be lost' in refuse(DETECTION, '--source',
                                         tiny_fashion_mnist, '--out', out,
                                         '--num', 2, 2, 2)
        assert mine.read_text() == 'kept'
        shutil.rmtree(out)
