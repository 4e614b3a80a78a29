"""The process that speaks HTTP: reads and decodes images, asks the worker."""

import asyncio
import hmac
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Dict, List, Optional

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ..errors import InputError
from ..runtime import Adaptive
from .bodies import Bodies, Limits, Refusal, refusal_of, top_of
from .channel import CLOSED, Asked, Channel, Order, clock
from .estimates import Overhead
from .metrics import Metrics
from .served_bank import Source, decode, index_of, open_bank

# in Python 3.10 asyncio has a TimeoutError of its own, hence "noqa"
OPENING_S = 600.  # for a bank to be opened and measured
LAG_S = 0.01  # between measurements of how late the process is


class Front:
    """Answers HTTP requests with what the worker says.

    Args:
        channel: to the worker.
        net: the bank, to decode images with.
        limits: what requests may be.
        source: where the bank is, to open it anew.
        token: that opening it anew needs; without one it is not allowed.
        decoders: threads that decode images.
    """

    def __init__(self,
                 channel: Channel,
                 net: Adaptive,
                 limits: Limits,
                 source: Source,
                 token: str = '',
                 decoders: int = 2) -> None:
        self.channel = channel
        self.net = net
        self.limits = limits
        self.source = source
        self.metrics = Metrics()
        self._token = token
        self._decoders = decoders
        self._waiting: Dict[int, asyncio.Future] = {}
        self._number = 0
        self._active = 0  # requests
        self._bank = 0  # the number of the bank that is open
        self._banks = 0  # the largest number that was given
        self._users: Counter = Counter()  # requests, by bank
        self._opening: Optional[asyncio.Future] = None
        self._is_due = False  # a signal came before the first request
        self._subnets: Optional[Dict[str, Any]] = None
        self._is_lost = False
        self._full_until = 0.  # refused without asking
        self._full_for = 0  # requests of at least so many images
        self._missed = 0  # images
        self._overhead = Overhead(limits.slo_ms)
        self._decoding = 0  # requests
        self._decode_ms = 0.  # of one, without others
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._known = asyncio.Event()

    def _begin(self) -> None:
        """Starts what must not exist before the process is forked."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._pool = ThreadPoolExecutor(self._decoders)
            self._bodies = Bodies(self.limits, self._pool)
            threading.Thread(target=self._receive, daemon=True).start()
            self._lags = asyncio.ensure_future(self._measure_lags())
            if self._is_due:
                self.reload_soon()

    async def _measure_lags(self) -> None:
        while True:
            due = clock() + 1e3 * LAG_S
            await asyncio.sleep(LAG_S)
            self._overhead.observe_lag(max(clock() - due, 0.))

    def _receive(self) -> None:
        assert self._loop is not None
        while True:
            try:
                value: Optional[Dict[str, Any]] = self.channel.answered()
            except CLOSED:
                value = None
            try:
                self._loop.call_soon_threadsafe(self._take, value)
            except RuntimeError:  # the loop has ended
                return
            if value is None:
                return

    def _take(self, value: Optional[Dict[str, Any]]) -> None:
        """Gives a message of the worker to the requests that it is for."""
        if value is None:
            self._is_lost = True
            for number in list(self._waiting):
                self._settle(number, ended())
            if self._opening is not None and not self._opening.done():
                self._opening.set_exception(ended())
        elif 'bank' in value:
            self._opened(value)
        elif 'refused' in value:
            wait = value['wait_ms']
            if wait is not None:
                self._full_until = clock() + wait
                self._full_for = value['count']
            self._settle(value['refused'], refusal_of(wait, self.limits.slo_ms))
        else:
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
        self._begin()
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
        bank = self._bank
        self._users[bank] += 1
        try:
            results = await self._results(contents, arrived, top, bank)
        finally:
            self._users[bank] -= 1
            self._close_unused(bank)
        total = clock() - arrived
        if total > self.limits.slo_ms:
            self.metrics.misses.labels('late').inc()
        self._overhead.observe(total, results)
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
                       top: Optional[int], bank: int) -> Any:
        """Lets the worker answer, with the bank of that number."""
        loop = asyncio.get_running_loop()
        start, self._decoding = clock(), self._decoding + 1
        others = self._decoding
        try:
            images = await loop.run_in_executor(self._pool, decode, self.net,
                                                contents, self.limits.pixels)
        except InputError as error:
            raise Refusal(422, str(error)) from None
        finally:
            self._decoding -= 1
            self._decode_ms += 0.1 * (
                (clock() - start) / others - self._decode_ms)
        self._number += 1
        number = self._number
        future = loop.create_future()
        self._waiting[number] = future
        try:
            self.channel.ask(
                Asked(number, arrived, self._overhead.reserve_ms, top,
                      self._missed, bank), images)
            self._missed = 0
            return await asyncio.wait_for(future, self.limits.answer_s)
        except (asyncio.TimeoutError, *CLOSED):  # noqa: UP041
            raise Refusal(503, 'the networks do not answer', 5e3) from None
        finally:
            self._waiting.pop(number, None)

    async def subnets(self, request: Request) -> Response:
        """``GET /subnets``."""
        if not await self._is_ready():
            return Refusal(503, 'not ready', 1e3).response()
        return JSONResponse(self._subnets)

    async def ready(self, request: Request) -> Response:
        """``GET /ready``."""
        if not await self._is_ready():
            return Refusal(503, 'not ready', 1e3).response()
        return JSONResponse(dict(ready=True))

    async def _is_ready(self) -> bool:
        self._begin()
        if self._subnets is None and not self._is_lost:
            try:
                await asyncio.wait_for(self._known.wait(), 1)
            except asyncio.TimeoutError:  # noqa: UP041
                return False
        return not self._is_lost

    async def read_metrics(self, request: Request) -> Response:
        """``GET /metrics``."""
        self._begin()
        return self.metrics.response()

    async def reload(self, request: Request) -> Response:
        """``POST /reload``: opens the bank in the folder anew."""
        self._begin()
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
        return JSONResponse(self._subnets)

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
        """Lets both processes open the bank. What was served is served until
        then, and after that to the requests that were loaded for it.

        Raises:
            Refusal: if it cannot be opened; the bank before is served.
        """
        if self._opening is not None:
            raise Refusal(409, 'the bank is being opened already')
        loop = asyncio.get_running_loop()
        self._banks += 1
        number = self._banks
        self._opening = loop.create_future()
        is_open = False
        try:
            self.channel.order(Order('open', number))
            value = await asyncio.wait_for(self._opening, OPENING_S)
            if 'problem' in value:
                raise Refusal(422, value['problem'])
            is_open = True
            net = await loop.run_in_executor(self._pool, open_bank, self.source)
            if index_of(self.source) != value['index']:
                raise Refusal(409, 'the bank changed while it was opened')
        except InputError as error:
            raise Refusal(422, str(error)) from None
        except (asyncio.TimeoutError, *CLOSED):  # noqa: UP041
            raise Refusal(503, 'the networks do not answer', 5e3) from None
        else:
            is_open = False
            self.net, self._subnets = net, value
            before, self._bank = self._bank, number
            self._close_unused(before)
        finally:
            self._opening = None
            if is_open:
                self._close(number)

    def _opened(self, value: Dict[str, Any]) -> None:
        """Takes what the worker says of a bank."""
        if not value.pop('bank'):
            self._subnets = value
            self._known.set()
        elif self._opening is not None and not self._opening.done():
            self._opening.set_result(value)

    def _close_unused(self, bank: int) -> None:
        """Lets the worker close a former bank that nothing waits for."""
        if bank != self._bank and not self._users[bank]:
            del self._users[bank]
            self._close(bank)

    def _close(self, bank: int) -> None:
        with suppress(*CLOSED):
            self.channel.order(Order('close', bank))


def ended() -> Refusal:
    """While the server ends because its other process has."""
    return Refusal(503, 'the networks have ended', wait_ms=5e3)
