import pytest

from pss.errors import InputError
from pss.registry import DATASETS


def split(folder, **kwargs):
    return DATASETS.build(dict(
        type='pss.HeldOutSplit',
        dataset=dict(type='mmpretrain.FashionMNIST', data_root=str(folder),
                     download=False, pipeline=[]), **kwargs))


def test_parts_make_the_whole(tiny_fashion_mnist):
    """Oracle: every seventh image by hand."""
    whole = DATASETS.build(dict(
        type='mmpretrain.FashionMNIST', data_root=str(tiny_fashion_mnist),
        download=False, pipeline=[]))
    images = [whole[i]['img'].tobytes() for i in range(len(whole))]
    kept = split(tiny_fashion_mnist, every=7, held_out=False)
    held_out = split(tiny_fashion_mnist, every=7, held_out=True)
    assert [held_out[i]['img'].tobytes() for i in range(len(held_out))] == \
        images[6::7]
    assert len(kept) + len(held_out) == len(whole) == 120
    assert kept.metainfo == whole.metainfo


@pytest.mark.parametrize('every', [1, 121, 2.5])
def test_bad_shares(tiny_fashion_mnist, every):
    """Oracle: the field, and the number of images, in the message."""
    with pytest.raises(InputError, match='every=.*120'):
        split(tiny_fashion_mnist, every=every, held_out=True)
