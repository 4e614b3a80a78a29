"""Messages between the server's processes."""

import json
import os
import sys

import numpy as np
import pytest

from pss.serving.channel import CLOSED, Asked, Channel, Order, plain


@pytest.fixture
def channel():
    """A channel both of whose ends are in this process."""
    found = Channel()
    found.open()
    return found


@pytest.mark.parametrize('kind', ['uint8', 'float32'])
def test_requests_arrive_as_they_were(channel, kind):
    """Oracle: what was sent, also bytes that end lines."""
    images = [
        np.full((2, 3, 4), value).astype(kind) for value in (10, 0, 13, 255)
    ]
    asked = Asked(7, 123.456, 2.5, None, 3, 2)
    channel.ask(asked, images)
    found, loaded = channel.asked()
    assert found == asked and loaded.dtype == kind
    np.testing.assert_array_equal(loaded, images)
    rng = np.random.default_rng(0)
    turned = rng.integers(0, 256, (5, 6, 3), np.uint8)[1:, 2:, ::-1]
    flipped = rng.integers(0, 256, (5, 6, 9), np.uint8)[..., ::-1]
    for image in (turned.astype(kind)[..., ::-1], flipped.astype(kind), turned):
        channel.ask(asked, [image, image + 1])
        np.testing.assert_array_equal(channel.asked()[1], [image, image + 1])
    channel.order(Order('open', 4))
    assert channel.asked() == Order('open', 4)


@pytest.mark.skipif(sys.platform != 'linux', reason='pipes are larger there')
@pytest.mark.parametrize('side', [1, 20, 63, 64, 65, 200])
def test_what_has_room_is_sent_at_once(channel, side):
    """Oracle: the pipe, that raises an error where it would have to wait; all
    of a large request has not."""
    os.set_blocking(channel.requests[1].fileno(), False)
    images = [np.full((side, side), 7, np.uint8)]
    sent = 0
    for _ in range(2):
        before = sent
        while channel.has_room(images):
            channel.ask(Asked(sent, 0.), images)
            sent += 1
        assert (sent - before) * (side**2 + 200) > 1 << 18
        for number in range(before, sent):
            assert channel.asked()[0].number == number
    assert not channel.has_room([np.zeros((600, 600), np.uint8)])


def test_answers_and_the_end(channel):
    """Oracle: what was sent; afterwards an error for which the other side
    listens."""
    channel.answer(dict(refused=3, wait_ms=1.5))
    assert channel.answered() == dict(refused=3, wait_ms=1.5)
    channel.close_of_worker()
    with pytest.raises(CLOSED):
        channel.answered()
    with pytest.raises(CLOSED):
        channel.ask(Asked(1, 0.), [np.zeros(3, np.uint8)])


def test_predictions_as_json():
    """Oracle: by hand: of equal scores, the first class comes first."""
    prediction = dict(
        pred_label=2,
        pred_score=0.5,
        pred_class='c',
        pred_scores=np.array([0.25, 0.25, 0.5], np.float32))
    found = plain(prediction)
    assert found == {
        'label': 2,
        'score': 0.5,
        'class': 'c',
        'scores': [0.25, 0.25, 0.5]
    }
    found = plain(prediction, 2, 'abc')
    assert found['top'] == [{
        'label': 2,
        'score': 0.5,
        'class': 'c'
    }, {
        'label': 0,
        'score': 0.25,
        'class': 'a'
    }]
    del prediction['pred_class']
    found = plain(prediction, 9)
    assert [row['label'] for row in found['top']] == [2, 0, 1]
    assert json.loads(json.dumps(found)) == found and 'scores' not in found
