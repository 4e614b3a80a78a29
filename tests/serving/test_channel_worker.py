"""The process that runs the networks, with several that speak HTTP."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from pss.serving import LatencyGrid
from pss.serving.channel import Asked, Channel, Order
from pss.serving.channel_worker import ChannelWorker
from pss.serving.worker import Engine

IMAGE = np.zeros((2, 2, 3), np.uint8)


class Net:
    """A bank of one subnet, which answers with each image's first byte."""

    resources, classes = {}, None
    subnets = SimpleNamespace(metric='top1')

    def __init__(self, is_open):
        self.is_open = is_open

    def run(self, kept, images):
        self.is_open.wait()
        return [
            dict(
                pred_label=int(image[0, 0, 0]),
                pred_score=1.,
                pred_scores=np.ones(1)) for image in images
        ]


@pytest.fixture
def running():
    """Two channels, a worker of both that runs in a thread, and an event that
    its batches wait for."""
    channels = [Channel(), Channel()]
    for channel in channels:
        channel.open()
    is_open = threading.Event()
    kept = SimpleNamespace(
        name='only',
        subnet=SimpleNamespace(resolution=2, widths=(1, )),
        costs={},
        held_out_accuracy=80.)
    number = iter(range(100))

    def opened(turn):
        return Engine(
            Net(is_open), [kept], LatencyGrid([1, 4], [[1., 2.]], [80.]), 1e5,
            'slack', str(next(number)))

    worker = ChannelWorker(channels, opened)
    thread = threading.Thread(target=worker.work)
    thread.start()
    yield channels, worker, thread, is_open
    is_open.set()
    for channel in channels:
        channel.close_of_front()
    thread.join(10)
    assert not thread.is_alive()


def ask(channel, number, value, bank=0):
    """Sends an image whose bytes have that value."""
    from pss.serving.channel import clock
    channel.ask(Asked(number, clock(), bank=bank), [IMAGE + np.uint8(value)])


def ask_for_two_batches(channel, worker, is_open):
    """Sends an image, and another one while its batch runs."""
    ask(channel, 1, 10)
    while not worker.engines[0].scheduler._running:
        pass
    ask(channel, 2, 20)
    while worker.engines[0].scheduler._number < 2:
        pass
    is_open.set()


def labels(message):
    """The answered classes by the numbers of the requests."""
    return {
        answer['number']: [row['label'] for row in answer['results']]
        for answer in message['answers']
    }


def test_each_channel_gets_its_answers(running):
    """Oracle: by hand: requests of both channels with the same numbers share a
    queue and its batches, each of which is counted once."""
    channels, worker, _, is_open = running
    for channel in channels:
        assert channel.answered()['opened'] == 0
    ask(channels[0], 1, 10)  # runs alone, while the others come
    while not worker.engines[0].scheduler._running:
        pass
    ask(channels[0], 2, 20)
    ask(channels[1], 1, 30)
    ask(channels[1], 2, 40)
    while worker.engines[0].scheduler._number < 4:
        pass
    is_open.set()
    found = [{}, {}]
    sizes = []
    for i, channel in enumerate(channels):
        while len(found[i]) < 2:
            message = channel.answered()
            found[i].update(labels(message))
            if message['batch'] is not None:
                sizes.append(message['batch']['size'])
    assert found == [{1: [10], 2: [20]}, {1: [30], 2: [40]}]
    assert sum(sizes) == 4 and len(sizes) == 2


def test_answers_do_not_hold_batches_up(running):
    """Oracle: the answer of the first batch, which waits until the second one
    runs."""
    channels, worker, _, is_open = running
    channels[0].answered()
    net, send = worker.engines[0].net, worker.ran
    run, is_second, waited = net.run, threading.Event(), []

    def run_and_say(kept, images):
        if images[0, 0, 0, 0] == 20:
            is_second.set()
        return run(kept, images)

    def wait_and_send(found):
        waited.append(is_second.wait(10))
        send(found)

    net.run, worker.ran = run_and_say, wait_and_send
    ask_for_two_batches(channels[0], worker, is_open)
    found = {}
    while len(found) < 2:
        found.update(labels(channels[0].answered()))
    assert found == {1: [10], 2: [20]} and all(waited)


def test_an_error_while_answering_ends_the_worker(running):
    """Oracle: the error, although nothing else comes."""
    channels, worker, thread, is_open = running
    is_open.set()
    caught = []
    threading.excepthook, before = caught.append, threading.excepthook
    try:
        worker.ran = None
        ask(channels[0], 1, 10)
        thread.join(10)
    finally:
        threading.excepthook = before
    assert not thread.is_alive() and caught[0].exc_type is TypeError


def test_a_bank_is_used_once_all_have_opened_it(running):
    """Oracle: the order of messages; a bank is closed once both channels have
    closed it, and one that a process could not open at once."""
    channels, worker, _, is_open = running
    is_open.set()
    for channel in channels:
        channel.answered()
    channels[1].order(Order('open'))
    for channel in channels:
        message = channel.answered()
        assert message['opened'] == 1 and message['described']['index'] == '1'
    channels[0].order(Order('done', 1))
    channels[0].order(Order('open'))  # refused, since it is not over
    message = channels[0].answered()
    assert message['reloaded']['status'] == 409
    channels[1].order(Order('done', 1))
    for channel in channels:
        assert channel.answered() == dict(use=1)
        channel.order(Order('done', 1))
    assert channels[1].answered() == dict(reloaded=None)
    channels[0].order(Order('close', 0))
    ask(channels[1], 5, 7)  # a request that was loaded before
    assert labels(channels[1].answered()) == {5: [7]}
    channels[1].order(Order('close', 0))
    ask(channels[0], 6, 8, bank=1)
    assert labels(channels[0].answered()) == {6: [8]}
    ask(channels[1], 7, 9, bank=1)
    assert labels(channels[1].answered()) == {7: [9]}
    assert list(worker.engines) == [1]

    channels[0].order(Order('open'))
    for channel in channels:
        assert channel.answered()['opened'] == 2
    channels[1].order(Order('done', 2, 'cannot be read'))
    for channel in channels:
        assert channel.answered() == dict(use=None)
    assert channels[0].answered()['reloaded'] == dict(
        status=409, problem='cannot be read')
    assert list(worker.engines) == [1]


@pytest.mark.parametrize('has_left', [True, False])
def test_the_end(running, has_left):
    """Oracle: a channel that was left does not end the others, one that was
    closed before does."""
    channels, worker, thread, is_open = running
    is_open.set()
    for channel in channels:
        channel.answered()
    if not has_left:
        channels[0].close_of_front()
        thread.join(10)
        assert not thread.is_alive()
        return
    channels[0].order(Order('leave'))
    thread.join(0.3)
    ask(channels[1], 1, 3)
    assert labels(channels[1].answered()) == {1: [3]}
    channels[1].order(Order('leave'))
    thread.join(10)
    assert not thread.is_alive()
