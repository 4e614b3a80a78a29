"""Opening and measuring banks."""

import io

import numpy as np
import pytest
from PIL import Image

from pss.apis import AdaptiveClassifier
from pss.errors import InputError
from pss.serving.served_bank import (
    Source,
    blank_image,
    check_images,
    decode,
    measure_grid,
    open_bank,
    served_subnets,
)


@pytest.fixture(scope='module')
def net(bank):
    """An opened bank."""
    return open_bank(Source(str(bank)))


def test_kinds_of_banks(bank, tmp_path):
    """Oracle: the classifier for a bank; the reader's own message for what is
    none."""
    assert isinstance(open_bank(Source(str(bank))), AdaptiveClassifier)
    for name, content in (('a', '[]'), ('b', '{"format": 3}'), ('c', 'x')):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'bank.json').write_text(content)
        with pytest.raises(InputError, match='bank'):
            open_bank(Source(str(tmp_path / name)))
    with pytest.raises(InputError, match='bank'):
        open_bank(Source(str(tmp_path / 'nothing')))


def test_measuring(net, monkeypatch):
    """Oracle: a clock that every batch moves on by its number of images times
    its subnet's place; the slow first batches of each do not count, and batches
    far beyond the objective are not run."""
    kepts = served_subnets(net, ())
    places = {kept.name: 1 + i for i, kept in enumerate(kepts)}
    now, largest = [0.], [0]

    def run(kept, images):
        places_seen = places[kept.name] * len(images)
        largest[0] = max(largest[0], places_seen)
        now[0] += 1e-3 * places_seen
        return []

    monkeypatch.setattr(net, 'run', run)
    monkeypatch.setattr('time.perf_counter', lambda: now[0])
    grid = measure_grid(net, kepts, 6, most_ms=8.)
    assert grid.sizes == (1, 2, 4, 6)
    for i in range(grid.num):
        for size in grid.sizes:
            assert grid.latencies_ms[i][size] == pytest.approx((1 + i) * size)
    assert grid.accuracies == tuple(kept.held_out_accuracy for kept in kepts)
    assert largest[0] <= 2 * 8


def test_chosen_subnets(net):
    """Oracle: their names; no subnet twice."""
    every = served_subnets(net, ())
    assert len({kept.subnet for kept in every}) == len(every)
    names = [net.subnets[0].name, net.subnets[-1].name]
    assert [kept.name for kept in served_subnets(net, names)] == names
    with pytest.raises(InputError, match="--only='x'.*'smallest'"):
        served_subnets(net, ['smallest', 'x'])


def test_blank_images_and_bad_ones(net):
    """Oracle: the bank's input size; the message names the image."""
    blank = blank_image(net)
    assert blank.shape == net.input_shape and not blank.any()
    assert len(net.run(net.subnets[0], np.stack([blank] * 3))) == 3
    with pytest.raises(InputError, match=r'images\[0\]: not an image'):
        decode(net, [b'x'], 100)


def test_pixels_that_loading_takes(net):
    """Oracle: by hand: an image's own, or those of the network's input, as
    many times as it is longer than wide."""

    def file(*size):
        buffer = io.BytesIO()
        Image.new('L', size).save(buffer, 'PNG')
        return buffer.getvalue()

    area = net.input_shape[1] * net.input_shape[2]
    for sizes, pixels in (([(1, 1)], area), ([(1, 30)], 30 * area),
                          ([(300, 200)], 60000), ([(2, 2), (6, 3)], 3 * area)):
        files = [file(*size) for size in sizes]
        assert check_images(net, files, 1 << 20) == pixels
    with pytest.raises(InputError, match=r'images\[1\]: 300 x 200 pixels'):
        check_images(net, [file(1, 1), file(300, 200)], 59999)
