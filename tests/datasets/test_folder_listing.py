"""Listing a folder of classes."""

import pytest

from pss.datasets import list_folder
from pss.errors import InputError


def write(root, *paths):
    """Writes empty files; a path that ends in a slash is a folder."""
    for path in paths:
        place = root / path
        (place if path.endswith('/') else place.parent).mkdir(
            parents=True, exist_ok=True)
        if not path.endswith('/'):
            place.touch()
    return str(root)


def test_classes_and_labels(tmp_path):
    """Oracle: mmpretrain's CustomDataset, for a folder that has nothing that is
    ignored."""
    from mmpretrain.datasets import CustomDataset
    root = write(tmp_path, 'b/1.png', 'a/2.JPG', 'a/deeper/still/3.jpeg',
                 'B/4.bmp', 'b/10.tif')
    theirs = CustomDataset(root)
    listing = list_folder(root)
    assert listing.classes == theirs.CLASSES == ('B', 'a', 'b')
    assert sorted((f'{root}/{path}', label)
                  for path, label in listing.images['train']) == sorted(
                      (item['img_path'], item['gt_label'])
                      for item in map(theirs.get_data_info, range(5)))
    assert listing.problems == listing.remarks == ()


def test_what_is_ignored(tmp_path):
    """Oracle: the two images that are no hidden files and lie in a class; the
    rest, but for hidden files, is mentioned."""
    root = write(tmp_path, 'a/1.png', 'b/2.webp', '.git/3.png', 'a/._1.png',
                 'a/.ipynb_checkpoints/4.png', '.DS_Store', 'stray.png',
                 'a/notes.txt', 'a/5.heic', 'b/more.TXT', 'b/LICENSE')
    listing = list_folder(root)
    assert listing.images == dict(train=[('a/1.png', 0), ('b/2.webp', 1)])
    assert listing.remarks == (
        "Not used: images in no class folder: 1, such as 'stray.png'",
        'Not used: files that are not images by their names: 2 .txt, 1 .heic, '
        '1 without extension')


@pytest.mark.parametrize(
    'folders, parts',
    [('train', dict(train='train')),
     ('train test', dict(train='train', test='test')),
     ('train val', dict(train='train', test='val')),
     ('train valid', dict(train='train', test='valid')),
     ('train test val', dict(train='train', test='test', held_out='val'))])
def test_folders_of_parts(tmp_path, folders, parts):
    """Oracle: the table in the docstring, by hand."""
    for name in folders.split():
        write(tmp_path, f'{name}/a/1.png', f'{name}/b/1.png')
    assert list_folder(str(tmp_path)).images == {
        part: [(f'{name}/a/1.png', 0), (f'{name}/b/1.png', 1)]
        for part, name in parts.items()
    }


def test_parts_with_other_classes(tmp_path):
    """Oracle: a class that was not trained is a problem; one that is not tested
    and a folder that is no part are mentioned."""
    root = write(tmp_path, 'train/a/1.png', 'train/b/1.png', 'test/b/1.png',
                 'test/c/1.png', 'more/a/1.png')
    listing = list_folder(root)
    assert listing.images['test'] == [('test/b/1.png', 1)]
    assert listing.problems == (
        'test/c: expected one of the class folders of train', )
    assert listing.remarks == ("Not used: ['more'] beside train",
                               "test has no folder for these classes: ['a']")


def test_a_class_called_train(tmp_path):
    """Oracle: three classes, since the images lie in the folder itself."""
    root = write(tmp_path, 'bus/1.png', 'car/1.png', 'train/1.png')
    assert list_folder(root).classes == ('bus', 'car', 'train')


def test_classes_without_images(tmp_path):
    """Oracle: each is named, and keeps its label."""
    root = write(tmp_path, 'a/', 'b/1.png', 'c/readme.md')
    listing = list_folder(root)
    assert listing.classes == ('a', 'b', 'c')
    assert listing.problems == ('a: has no image; expected some, or no folder',
                                'c: has no image; expected some, or no folder')


@pytest.mark.parametrize('paths, words', [
    (['a/'], 'class folders: 1; expected two or more'),
    (['1.png', '2.png'], 'class folders: 0, images beside it: 2; '),
    (['data/a/1.png', 'data/b/1.png'
      ], r'class folders: 1; is data_root .*/data, with 2\?; expected'),
])
def test_folders_without_classes(tmp_path, paths, words):
    """Oracle: the folder, what it has and what was expected."""
    with pytest.raises(InputError, match=f'data_root=.*{words}'):
        list_folder(write(tmp_path, *paths))


@pytest.mark.parametrize('root', ['nothing', 's3://bucket/data', '', 3, 'a\nb'])
def test_no_folder(root, tmp_path, monkeypatch):
    """Oracle: the field in the message."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match='^data_root='):
        list_folder(root)


def test_a_name_that_no_bank_holds(tmp_path):
    """Oracle: the class, escaped; banks take printable names only."""
    root = write(tmp_path, 'a\nb/1.png', 'c/1.png')
    assert list_folder(root).problems == (
        r"class 'a\nb': expected a printable name", )


def test_links(tmp_path):
    """Oracle: a link to a file and to a folder are followed; one to a folder
    above ends."""
    write(tmp_path, 'data/a/1.png', 'data/b/1.png', 'else/2.png')
    (tmp_path / 'data/a/loop').symlink_to(tmp_path / 'data/a')
    (tmp_path / 'data/a/more').symlink_to(tmp_path / 'else')
    (tmp_path / 'data/b/3.png').symlink_to(tmp_path / 'else/2.png')
    assert list_folder(str(tmp_path / 'data')).images['train'] == [
        ('a/1.png', 0), ('a/more/2.png', 0), ('b/1.png', 1), ('b/3.png', 1)
    ]
