"""A process that speaks HTTP: reads and decodes images, asks the worker."""

import asyncio
import gc
import hmac
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ..errors import InputError
from ..runtime import Adaptive
from .bodies import SMALL, Bodies, Limits, Refusal, refusal_of, top_of
from .channel import CLOSED, Asked, Channel, Order, clock
from .estimates import Overhead
from .metrics import Metrics
from .served_bank import Source, check_images, decode, index_of, open_bank

# in Python 3.10 asyncio has a TimeoutError of its own, hence "noqa"
OPENING_S = 600.  # for a bank to be opened and measured
LAG_S = 0.01  # between measurements of how late the process is,
IDLE_LAG_S = 0.1  # and while nothing is to be done


class Opened(NamedTuple):
    """A bank that is served, or will be.

    Attributes:
        bank: its number.
        net: the bank, to decode images with.
        described: what ``GET /subnets`` says.
    """
    bank: int
    net: Adaptive
    described: Optional[Dict[str, Any]] = None


class Front:
    """Answers HTTP requests with what the worker says.

    It is made before the processes that speak HTTP are forked, each of which
    has its own copy then.

    Args:
        channels: to the worker, one for each of these processes.
        net: the bank, to decode images with.
        limits: what requests may be.
        source: where the bank is, to open it anew.
        token: that opening it anew needs; without one it is not allowed.
        decoders: threads of a process that decode images.
    """

    def __init__(self,
                 channels: Sequence[Channel],
                 net: Adaptive,
                 limits: Limits,
                 source: Source,
                 token: str = '',
                 decoders: int = 2) -> None:
        self.channels = channels
        self.limits = limits
        self.source = source
        self.metrics = Metrics()
        self._token = token
        self._decoders = decoders
        self._waiting: Dict[int, asyncio.Future] = {}
        self._number = 0
        self._active = 0  # requests
        self._served = Opened(0, net)
        self._next: Optional[Opened] = None
        self._users: Counter = Counter()  # requests, by bank
        self._opening: Optional[asyncio.Future] = None
        self._is_due = False  # a signal came before the beginning
        self._is_lost = False
        self._full_until = 0.  # refused without asking
        self._full_for = 0  # requests of at least so many images
        self._missed = 0  # images
        self._overhead = Overhead(limits.slo_ms)
        self._decoding = 0  # requests
        self._decode_ms = 0.  # of one, without others
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    def begin(self, number: int) -> None:
        """Starts what must not exist before the process is forked.

        Args:
            number: of this process, and so of its channel.
        """
        for other in (*self.channels[:number], *self.channels[number + 1:]):
            other.close_of_front()
        gc.freeze()  # looking through what stays would hold requests up
        self.channel = self.channels[number]
        self._sending = threading.Lock()
        # at most one small request is decoded in a turn of the loop: answers
        # would have to wait for all that there are
        self._turn = asyncio.Lock()
        self._known = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(self._decoders)
        self._bodies = Bodies(self.limits, self._pool)
        # a thread would have to wait for the interpreter with every message
        self._answers = self.channel.answers[0].fileno()
        self._loop.add_reader(self._answers, self._receive)
        self._lags = asyncio.ensure_future(self._measure_lags())
        if self._is_due:
            self.reload_soon()

    def end(self) -> None:
        """Tells the worker that there will be no more requests."""
        self._send(Order('leave'))

    async def _measure_lags(self) -> None:
        while True:
            pause = LAG_S if self._active else IDLE_LAG_S
            due = clock() + 1e3 * pause
            await asyncio.sleep(pause)
            self._overhead.observe_lag(
                max(clock() - due, 0.), round(pause / LAG_S))

    def _order(self, order: Order) -> None:
        # in a thread: the worker may be slow to take images before it
        self._pool.submit(self._send, order)

    def _send(self, order: Order) -> None:
        with suppress(*CLOSED), self._sending:
            self.channel.order(order)

    def _receive(self) -> None:
        # all that there are, or a loop that is busy would fall behind: it comes
        # here once each time it has read what its connections have
        try:
            self._take(self.channel.answered())
            while self.channel.has_answer():
                self._take(self.channel.answered())
        except CLOSED:
            assert self._loop is not None
            self._loop.remove_reader(self._answers)
            self._lose()

    def _lose(self) -> None:
        """Refuses what waits for the worker, which has ended."""
        self._is_lost = True
        for number in list(self._waiting):
            self._settle(number, ended())
        if self._opening is not None and not self._opening.done():
            self._opening.set_exception(ended())

    def _take(self, value: Dict[str, Any]) -> None:
        """Gives a message of the worker to the requests that it is for."""
        if 'opened' in value:
            self._take_bank(value['opened'], value['described'])
        elif 'use' in value:
            self._use(value['use'])
        elif 'reloaded' in value:
            if self._opening is not None and not self._opening.done():
                self._opening.set_result(value['reloaded'])
        elif 'refused' in value:
            wait = value['wait_ms']
            if wait is not None:
                self._full_until = clock() + wait
                self._full_for = value['count']
            self._settle(value['refused'], refusal_of(wait, self.limits.slo_ms))
        else:
            if value['batch'] is not None:
                self.metrics.of_batch(value['batch'])
            for answer in value['answers']:
                self._settle(answer['number'], answer['results'])
            for number in value['failed']:
                self._settle(number, Refusal(500, value['problem']))

    def _settle(self, number: int, result: Any) -> None:
        future = self._waiting.pop(number, None)
        if future is None or future.done():  # the client has gone
            return
        if isinstance(result, Refusal):
            future.set_exception(result)
        else:
            future.set_result(result)

    async def predict(self, request: Request) -> Response:
        """``POST /predict``."""
        start = clock()
        self._active += 1
        try:
            response = await self._predict(request)
        except Refusal as refusal:
            response = refusal.response()
            if refusal.status == 503:
                self.metrics.misses.labels('refused').inc()
        except ClientDisconnect:
            response = Response(status_code=400)
        finally:
            self._active -= 1
        self.metrics.requests.labels(str(response.status_code)).inc()
        self.metrics.whole.observe(clock() - start)
        return response

    async def _predict(self, request: Request) -> Response:
        if self._is_lost:
            raise ended()
        if self._active > self.limits.requests:
            raise Refusal(
                503, f'{self.limits.requests} requests are open '
                'already', 1e3)
        self._check_pace()
        top = top_of(request.query_params.get('top'))
        contents, arrived = await self._bodies.files(request)
        left = self._full_until - clock()
        if left > 0 and len(contents) >= self._full_for:
            # the worker would refuse it as well, and decoding takes time
            self._missed += len(contents)
            raise refusal_of(left, self.limits.slo_ms)
        served = self._served
        self._users[served.bank] += 1
        try:
            results = await self._results(contents, arrived, top, served)
        finally:
            self._users[served.bank] -= 1
            self._close_unused(served.bank)
        now = clock()
        total = now - arrived
        if total > self.limits.slo_ms:
            self.metrics.misses.labels('late').inc()
        self._overhead.observe(now, total, results)
        for result in results:
            self.metrics.queue.observe(result['queue_ms'])
        return JSONResponse(dict(predictions=results, total_ms=round(total, 3)))

    def _check_pace(self) -> None:
        """Refuses a request before it is read, if reading and decoding would
        take half of the objective: more arrives than this process can read."""
        late = max(self._decoding * self._decode_ms,
                   self._overhead.usual_lag_ms)
        if late > self.limits.slo_ms / 2:
            self._missed += 1
            raise refusal_of(late, self.limits.slo_ms)

    async def _results(self, contents: List[bytes], arrived: float,
                       top: Optional[int], served: Opened) -> Any:
        """Lets the worker answer, with that bank."""
        loop = asyncio.get_running_loop()
        self._number += 1
        number = self._number
        asked = Asked(number, arrived, self._overhead.reserve_ms(clock()), top,
                      self._missed, served.bank)
        self._missed = 0
        future = loop.create_future()
        self._waiting[number] = future
        start, self._decoding = clock(), self._decoding + 1
        others = self._decoding
        try:
            try:
                await self._ask(asked, contents, served.net)
            finally:
                self._decoding -= 1
                self._decode_ms += 0.1 * (
                    (clock() - start) / others - self._decode_ms)
            # wait_for would take a turn of the loop more
            given_up = loop.call_later(self.limits.answer_s, self._settle,
                                       number, unanswered())
            try:
                return await future
            finally:
                given_up.cancel()
        except InputError as error:
            self._missed += asked.missed
            raise Refusal(422, str(error)) from None
        except CLOSED:
            raise unanswered() from None
        finally:
            self._waiting.pop(number, None)

    async def _ask(self, asked: Asked, contents: List[bytes],
                   net: Adaptive) -> None:
        """Decodes and sends images. What is large or would have to wait, since
        the worker has not taken what came before, is left to a thread."""
        pixels = self.limits.pixels
        in_thread = partial(asyncio.get_running_loop().run_in_executor,
                            self._pool)
        if sum(map(len, contents)) > SMALL or \
                check_images(net, contents, pixels) > SMALL:
            await in_thread(self._decode_and_send, asked, contents, net)
            return
        async with self._turn:
            images = net.load(contents)
            if self.channel.has_room(images) and \
                    self._sending.acquire(blocking=False):
                try:
                    self.channel.ask(asked, images)
                finally:
                    self._sending.release()
            else:
                await in_thread(self._send_images, asked, images)
            await asyncio.sleep(0)

    def _decode_and_send(self, asked: Asked, contents: List[bytes],
                         net: Adaptive) -> None:
        self._send_images(asked, decode(net, contents, self.limits.pixels))

    def _send_images(self, asked: Asked, images: List[np.ndarray]) -> None:
        with self._sending:
            self.channel.ask(asked, images)

    async def subnets(self, request: Request) -> Response:
        """``GET /subnets``."""
        if not await self._is_ready():
            return Refusal(503, 'not ready', 1e3).response()
        return JSONResponse(self._served.described)

    async def ready(self, request: Request) -> Response:
        """``GET /ready``."""
        if not await self._is_ready():
            return Refusal(503, 'not ready', 1e3).response()
        return JSONResponse(dict(ready=True))

    async def _is_ready(self) -> bool:
        if self._served.described is None and not self._is_lost:
            try:
                await asyncio.wait_for(self._known.wait(), 1)
            except asyncio.TimeoutError:  # noqa: UP041
                return False
        return not self._is_lost

    async def read_metrics(self, request: Request) -> Response:
        """``GET /metrics``."""
        return self.metrics.response()

    async def reload(self, request: Request) -> Response:
        """``POST /reload``: opens the bank in the folder anew."""
        try:
            if not self._token:
                raise Refusal(
                    403, 'expected the server to have been started with '
                    'PSS_RELOAD_TOKEN in its environment; or send it SIGHUP')
            given = request.headers.get('authorization', '')
            if not hmac.compare_digest(given.encode(),
                                       f'Bearer {self._token}'.encode()):
                raise Refusal(401, 'expected "Authorization: Bearer TOKEN"')
            await self._reload()
        except Refusal as refusal:
            return refusal.response()
        return JSONResponse(self._served.described)

    def reload_soon(self) -> None:
        """Opens the bank anew, as a signal asks for."""
        if self._loop is None:
            self._is_due = True
        else:
            self._loop.call_soon_threadsafe(
                lambda: asyncio.ensure_future(self._reload_and_say()))

    async def _reload_and_say(self) -> None:
        folder = self.source.folder
        try:
            await self._reload()
        except Refusal as refusal:
            print(
                f'{folder}: not reloaded; the bank before is served. {refusal}',
                file=sys.stderr,
                flush=True)
        else:
            print(f'{folder}: reloaded', file=sys.stderr, flush=True)

    async def _reload(self) -> None:
        """Lets all processes open the bank. What was served is served until
        then, and after that to the requests that were loaded for it.

        Raises:
            Refusal: if it cannot be opened; the bank before is served.
        """
        if self._opening is not None:
            raise Refusal(409, 'the bank is being opened already')
        self._opening = asyncio.get_running_loop().create_future()
        try:
            self._order(Order('open'))
            found = await asyncio.wait_for(self._opening, OPENING_S)
        except asyncio.TimeoutError:  # noqa: UP041
            raise unanswered() from None
        finally:
            self._opening = None
        if found is not None:
            raise Refusal(found['status'], found['problem'])

    def _take_bank(self, bank: int, described: Dict[str, Any]) -> None:
        """Takes what the worker says of a bank that it has opened."""
        if not bank:
            self._served = self._served._replace(described=described)
            self._known.set()
        else:
            asyncio.ensure_future(self._open(bank, described))

    async def _open(self, bank: int, described: Dict[str, Any]) -> None:
        """Opens the bank that the worker has opened."""
        problem = ''
        try:
            net = await asyncio.get_running_loop().run_in_executor(
                self._pool, open_bank, self.source)
            if index_of(self.source) != described['index']:
                problem = 'the bank changed while it was opened'
            self._next = Opened(bank, net, described)
        except Exception as error:  # no file may end the server
            problem = str(error)
        self._order(Order('done', bank, problem))

    def _use(self, bank: Optional[int]) -> None:
        """Loads images for the bank that was opened last from now on, unless
        another process could not open it."""
        found, self._next = self._next, None
        if bank is not None:
            assert found is not None and found.bank == bank
            before, self._served = self._served, found
            self._close_unused(before.bank)
            self._order(Order('done', bank))

    def _close_unused(self, bank: int) -> None:
        """Lets the worker close a former bank that nothing waits for."""
        if bank != self._served.bank and not self._users[bank]:
            del self._users[bank]
            self._order(Order('close', bank))


def ended() -> Refusal:
    """While the server ends because its other process has."""
    return Refusal(503, 'the networks have ended', wait_ms=5e3)


def unanswered() -> Refusal:
    """Where the other process should have answered long ago."""
    return Refusal(503, 'the networks do not answer', wait_ms=5e3)
