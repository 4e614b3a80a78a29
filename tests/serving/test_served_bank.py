"""Opening and measuring banks."""

import numpy as np
import pytest

from pss.apis import AdaptiveClassifier
from pss.errors import InputError
from pss.serving.served_bank import (
    Source,
    blank_image,
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
