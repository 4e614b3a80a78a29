"""Splitting the training set."""

import pytest

from pss.datasets import held_out_split
from pss.errors import InputError
from pss.registry import DATASETS


def split(folder, **kwargs):
    return DATASETS.build(
        dict(
            type='pss.HeldOutSplit',
            dataset=dict(
                type='mmpretrain.FashionMNIST',
                data_root=str(folder),
                download=False,
                pipeline=[]),
            **kwargs))


def test_parts_make_the_whole(tiny_fashion_mnist):
    """Oracle: the middle of each of 17 equal stretches, by hand."""
    whole = DATASETS.build(
        dict(
            type='mmpretrain.FashionMNIST',
            data_root=str(tiny_fashion_mnist),
            download=False,
            pipeline=[]))
    images = [whole[i]['img'].tobytes() for i in range(len(whole))]
    kept = split(tiny_fashion_mnist, every=7, held_out=False)
    held_out = split(tiny_fashion_mnist, every=7, held_out=True)
    assert [held_out[i]['img'].tobytes() for i in range(len(held_out))] == \
        [images[round((k + 0.5) * 120 / 17 - 0.5)] for k in range(17)]
    assert len(kept) + len(held_out) == len(whole) == 120
    assert kept.metainfo == whole.metainfo


def test_small_sets_have_one_image_held_out(tiny_fashion_mnist):
    """Oracle: sizes of the parts."""
    assert len(split(tiny_fashion_mnist, every=500, held_out=True)) == 1
    assert len(split(tiny_fashion_mnist, every=500, held_out=False)) == 119


def test_missing_files(tmp_path):
    """Oracle: the dataset and its folder in the message."""
    with pytest.raises(InputError, match=f'FashionMNIST in .*{tmp_path}'):
        split(tmp_path, every=2, held_out=True)


@pytest.mark.parametrize('every', [1, 2.5, True])
def test_bad_shares(tiny_fashion_mnist, every):
    """Oracle: the field in the message."""
    with pytest.raises(InputError, match='every='):
        split(tiny_fashion_mnist, every=every, held_out=True)


def test_what_is_no_config():
    """Oracle: MMEngine's error."""
    with pytest.raises(TypeError, match='cfg should be a dict'):
        held_out_split(3, every=2, held_out=True)
