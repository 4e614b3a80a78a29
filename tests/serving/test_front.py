"""The process that speaks HTTP, without one."""

import asyncio
import gc
import io

import pytest
from PIL import Image

pytest.importorskip('prometheus_client', reason='needs requirements/serve.txt')
pytest.importorskip('litserve')


def test_it_refuses_what_it_cannot_read_in_time():
    """Oracle: by hand: half of an objective of 100 ms, for the usual lag of the
    process and for the images that are being decoded; single lags are nothing.
    """
    from pss.serving.bodies import Limits, Refusal
    from pss.serving.front import Front
    from pss.serving.served_bank import Source
    front = Front(None, None, Limits(slo_ms=100.), Source('bank'))
    front._check_pace()
    for lag in (0., 900., 1., 49.):
        front._overhead.observe_lag(lag)
    front._check_pace()
    front._decoding, front._decode_ms = 4, 12.
    front._check_pace()
    front._decoding = 5
    with pytest.raises(Refusal, match='within 100 ms') as found:
        front._check_pace()
    assert found.value.status == 503 and found.value.wait_ms == 60
    front._decoding = 0
    for _ in range(5):
        front._overhead.observe_lag(51.)
    with pytest.raises(Refusal):
        front._check_pace()
    assert front._missed == 2


@pytest.mark.parametrize('number', [2, 25])
def test_answers_do_not_wait_for_many_requests(bank, monkeypatch, number):
    """Oracle: the turns of the event loop, counted by a callback that comes
    once in each. Of requests that arrive at once one is decoded in a turn, the
    oldest first; and answers that are there at once are all read in the same
    turn, and take one more to reach their requests."""
    from pss.serving.bodies import Limits, Refusal
    from pss.serving.channel import Channel, clock
    from pss.serving.front import Front
    from pss.serving.served_bank import Source, open_bank
    net = open_bank(Source(str(bank)))
    content = io.BytesIO()
    Image.new('RGB', (40, 40)).save(content, 'PNG')
    turns = [0]
    decoded = []
    load = net.load

    def counted(contents):
        decoded.append(turns[0])
        return load(contents)

    monkeypatch.setattr(net, 'load', counted)
    channel = Channel()
    channel.open()

    async def ask():
        front = Front([channel], net, Limits(slo_ms=1e4), Source(str(bank)))
        front.begin(0)
        loop = asyncio.get_running_loop()

        def turn():
            turns[0] += 1
            loop.call_soon(turn)

        turn()
        requests = [
            asyncio.ensure_future(
                front._results([content.getvalue()], clock(), None,
                               front._served)) for _ in range(number)
        ]
        while len(decoded) < number or front._decoding:
            await asyncio.sleep(0)
        numbers = [channel.asked()[0].number for _ in range(number)]
        assert numbers == sorted(numbers)
        for one in numbers:
            channel.answer(dict(refused=one, count=1, wait_ms=5.))
        before = turns[0]
        found = await asyncio.gather(*requests, return_exceptions=True)
        assert turns[0] - before <= 5
        assert all(isinstance(one, Refusal) for one in found)
        assert not front._waiting

    try:
        asyncio.run(ask())
    finally:
        gc.unfreeze()
    assert len(set(decoded)) == number
