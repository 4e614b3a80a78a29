"""Splitting a folder of classes."""

import hashlib
from collections import Counter

import pytest

from pss.datasets import FolderListing, split_folder
from pss.errors import InputError


def listing(*nums, **more):
    """Classes with these numbers of images to train."""
    names = tuple(f'c{label}' for label in range(len(nums)))
    images = [(f'{name}/{i:03d}.png', label)
              for label, (name, num) in enumerate(zip(names, nums))
              for i in range(num)]
    return FolderListing(names, dict(train=images, **more))


def test_parts_make_the_whole():
    """Oracle: each image is in one part; each class gives its share, rounded,
    but at least one image."""
    folder = listing(3, 14, 15, 100)
    parts = split_folder(folder, held_out=0.1, test=0.2).images
    assert sorted(sum(parts.values(), [])) == folder.images['train']
    assert {
        part: Counter(label for _, label in images)
        for part, images in parts.items()
    } == dict(
        train={0: 1, 1: 10, 2: 10, 3: 70},
        held_out={0: 1, 1: 1, 2: 2, 3: 10},
        test={0: 1, 1: 3, 2: 3, 3: 20})  # yapf: disable


def test_the_order_is_that_of_hashes():
    """Oracle: BLAKE2 of seed and path, as the docstring says: the first of each
    class are tested, the next held out. So it is the same everywhere."""
    parts = split_folder(listing(20), held_out=0.1, test=0.2, seed=7).images

    def place(image):
        return hashlib.blake2b(f'7/{image[0]}'.encode(), digest_size=8).digest()

    order = sorted(listing(20).images['train'], key=place)
    assert parts['test'] == sorted(order[:4])
    assert parts['held_out'] == sorted(order[4:6])
    assert parts['train'] == sorted(order[6:])


def test_the_order_of_files_does_not_matter():
    """Oracle: the split of the same images in another order."""
    folder = listing(9, 12)
    turned = FolderListing(folder.classes,
                           dict(train=folder.images['train'][::-1]))
    assert split_folder(turned) == split_folder(folder)


def test_digest():
    """Oracle: equal for equal splits only."""
    found = {
        split_folder(folder, **options).digest
        for folder, options in ((listing(20, 20), {}), (listing(20, 20),
                                                        dict(seed=0)),
                                (listing(20, 21), {}), (listing(20, 20),
                                                        dict(seed=1)),
                                (listing(20, 20), dict(test=0.2)),
                                (listing(20, 20), dict(skipped=['c0/003.png'])))
    }
    assert len(found) == 5


def test_more_images_move_few():
    """Oracle: of 100 images per class, with one more, at most the one at each
    boundary gets another part."""
    before = split_folder(listing(100)).images
    after = split_folder(listing(101)).images
    moved = sum(len(set(before[part]) - set(after[part])) for part in before)
    assert moved <= 2


def test_folders_of_parts_stay():
    """Oracle: parts that the folder gives are not drawn."""
    given = [('test/c0/9.png', 0)]
    folder = listing(10, test=given)
    parts = split_folder(folder, held_out=0.3).images
    assert parts['test'] == given
    assert (len(parts['train']), len(parts['held_out'])) == (7, 3)
    folder = listing(10, test=given, held_out=[('val/c0/8.png', 0)])
    assert split_folder(folder).images['train'] == folder.images['train']


def test_skipped_images_are_in_no_part():
    """Oracle: the split without them."""
    parts = split_folder(listing(10), skipped=['c0/002.png', 'c0/009.png'])
    found = {path for images in parts.images.values() for path, _ in images}
    assert found == {f'c0/{i:03d}.png'
                     for i in range(10)} - {'c0/002.png', 'c0/009.png'}


def test_too_few_images():
    """Oracle: the class, its number and what is needed; not for a class without
    any, which the listing names."""
    split = split_folder(listing(2, 3, 0), skipped=['c1/000.png'])
    assert split.problems == tuple(
        f'class {name!r}: images that can be used: 2; expected 3 or more: '
        '1 to train and 1 to test and 1 to hold out' for name in ('c0', 'c1'))
    split = split_folder(listing(4, test=[]))
    assert split.problems == ('part test: has no image; expected some', )


@pytest.mark.parametrize('options, words', [
    (dict(test=0), 'data.test=0: expected'),
    (dict(test=1.), 'data.test=1.0: expected'),
    (dict(held_out=True), 'data.held_out=True: expected'),
    (dict(held_out=0.5, test=0.5), 'expected less than 1 together'),
    (dict(seed=-1), 'data.seed=-1: expected'),
    (dict(seed=2.), 'data.seed=2.0: expected'),
])
def test_bad_shares(options, words):
    """Oracle: the field in the message."""
    with pytest.raises(InputError, match=words):
        split_folder(listing(10), **options)
