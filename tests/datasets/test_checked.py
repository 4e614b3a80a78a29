"""Datasets that report bad images and labels."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from pss.datasets import CheckedDataset
from pss.datasets.checked import is_cut_off
from pss.errors import InputError
from pss.registry import DATASETS


def jpeg(size=40):
    """The bytes of a JPEG file."""
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3),
                                               np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'JPEG')
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Three images of two classes, in mmpretrain's format."""
    for i in range(3):
        (tmp_path / f'{i}.jpg').write_bytes(jpeg())
    (tmp_path / 'list.txt').write_text('0.jpg 0\n1.jpg 1\n2.jpg 1\n')
    return tmp_path


def build(folder, pipeline=(), num_classes=2, **kwargs):
    return DATASETS.build(
        dict(
            type='pss.CheckedDataset',
            where='val_dataloader',
            num_classes=num_classes,
            dataset=dict(
                type='mmpretrain.CustomDataset',
                data_root=str(folder),
                ann_file='list.txt',
                classes=('a', 'b'),
                pipeline=[
                    dict(type='LoadImageFromFile'), *pipeline,
                    dict(type='mmpretrain.PackInputs')
                ]),
            **kwargs))


def test_behaves_as_the_dataset(folder):
    """Oracle: the wrapped dataset: images, length, attributes; also after
    pickling, as for a worker process."""
    checked = build(folder)
    for found in (checked, pickle.loads(pickle.dumps(checked))):
        assert len(found) == 3
        assert found.metainfo['classes'] == ('a', 'b')
        assert found.get_data_info(2)['gt_label'] == 1
        for i in range(3):
            assert (found[i]['inputs'] == checked.dataset[i]['inputs']).all()
    with pytest.raises(AttributeError):
        _ = checked.nothing


@pytest.mark.parametrize('contents, words',
                         [(None, 'No such file'),
                          (b'', '1.jpg: cannot be loaded'),
                          (b'no image\n', '1.jpg: cannot be loaded'),
                          (jpeg()[:700], '1.jpg: '), (jpeg()[:-2], '1.jpg: ')])
@pytest.mark.parametrize('exact', [False, True])
def test_damaged_files(folder, contents, words, exact):
    """Oracle: field, file and reason in one line; other images load."""
    path = folder / '1.jpg'
    path.unlink()
    if contents is not None:
        path.write_bytes(contents)
    checked = build(folder, exact=exact)
    with pytest.raises(InputError, match=words) as error:
        checked[1]
    assert str(error.value).startswith(f'val_dataloader: {path}: ')
    assert '\n' not in str(error.value)
    assert checked[0] and checked[2]


class Grey:
    """A dataset whose decoder fills missing parts with grey."""

    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 1

    def __getitem__(self, index):
        from mmpretrain.structures import DataSample
        return dict(
            inputs=None,
            data_samples=DataSample(metainfo=dict(img_path=str(self.path))))


def test_a_truncated_file(tmp_path):
    """Oracle: Pillow, which refuses such files; complete ones, ones with bytes
    after the image, and files of other formats pass."""
    path = tmp_path / 'a.JPEG'
    for contents, cut in ((jpeg(), False), (jpeg() + b'\0\0', False),
                          (jpeg()[:-2], True), (jpeg()[:900], True), (b'text',
                                                                      False)):
        path.write_bytes(contents)
        assert is_cut_off(str(path)) == cut
    assert not is_cut_off(str(tmp_path / 'none.jpg'))
    assert not is_cut_off('s3://bucket/a.jpg') and not is_cut_off(None)
    path.write_bytes(jpeg()[:900])
    with pytest.raises(InputError, match='a.JPEG: the file is cut off'):
        CheckedDataset(Grey(path), 'train_dataloader')[0]


def test_no_image_replaces_another(folder, monkeypatch):
    """Oracle: MMEngine's dataset, which returns another image; that is right
    only in training."""
    (folder / '1.jpg').write_bytes(b'')
    loading = [dict(type='LoadImageFromFile', ignore_empty=True)]
    training, exact = (build(folder, loading, exact=e) for e in (False, True))
    for checked in (training, exact):
        del checked.dataset.pipeline.transforms[0]
    monkeypatch.setattr(np.random, 'randint', lambda *args: 0)
    assert training[1]['data_samples'].img_path.endswith('0.jpg')
    with pytest.raises(InputError, match='1.jpg: its pipeline returns None'):
        exact[1]


@pytest.mark.parametrize('label', [2, -1, 70])
def test_labels_that_are_no_class(folder, label):
    """Oracle: image, label and number of classes in the message, both before
    the first image is loaded and when that image is."""
    (folder / 'list.txt').write_text(f'0.jpg 0\n1.jpg {label}\n2.jpg 1\n')
    words = (rf'val_dataloader: .*1.jpg: gt_label={label}: expected 0 to 1, '
             r'since model.head.num_classes=2')
    with pytest.raises(InputError, match=words):
        build(folder)
    checked = build(folder, num_classes=None)
    assert len(checked) == 3 and checked[1]
    checked.num_classes = 2
    assert checked[0]
    with pytest.raises(InputError, match=words):
        checked[1]


def test_a_pipelines_bug_is_not_disguised(folder):
    """Oracle: the error that Python raises, with its traceback."""

    def wrong(results):
        return results['nothing']

    with pytest.raises(KeyError, match='nothing'):
        build(folder, [wrong])[0]


def test_without_images(folder):
    """Oracle: the dataset and its folder in the message."""
    (folder / 'list.txt').write_text('')
    with pytest.raises(InputError, match=f'CustomDataset in .*{folder}'):
        build(folder)
