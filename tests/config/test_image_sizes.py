"""Resolutions that suit the sizes of images."""

import pytest

from pss.config.image_sizes import largest_of, resolutions_for, typical_side
from pss.errors import InputError

from ..images import write_folder


@pytest.mark.parametrize('side, start, stop, step', [(1000, 128, 224, 8),
                                                     (224, 128, 224, 8),
                                                     (160, 96, 160, 8),
                                                     (127, 72, 124, 4),
                                                     (64, 40, 64, 4),
                                                     (32, 20, 32, 2),
                                                     (28, 18, 28, 2),
                                                     (29, 18, 28, 2),
                                                     (1, 18, 28, 2)])
def test_resolutions(side, start, stop, step):
    """Oracle: the paper's for 224, the demo's for 28; in between by hand: from
    4/7 of the largest multiple of the step."""
    assert resolutions_for(side) == dict(start=start, stop=stop, step=step)


def test_typical_side(tmp_path):
    """Oracle: the median by hand, without what cannot be read."""
    paths = [
        write_folder(tmp_path / str(size), ('a', ), 1, size) / 'a' / '00.png'
        for size in (20, 30, 90)
    ]
    (tmp_path / 'b.png').write_bytes(b'no image')
    assert typical_side([*paths, tmp_path / 'b.png', tmp_path / 'none']) == 30
    with pytest.raises(InputError, match='resolutions=None: none of 1 images'):
        typical_side([tmp_path / 'b.png'])


@pytest.mark.parametrize('resolutions, largest',
                         [([32, 64, 48], 64), ((28, ), 28),
                          (dict(start=18, stop=28, step=4), 26),
                          (dict(start=18, stop=28), None), ([], None),
                          (['a'], None), (224, None), (None, None)])
def test_the_largest(resolutions, largest):
    """Oracle: the largest by hand; none of what the backbone refuses."""
    assert largest_of(resolutions) == largest
