"""The process that speaks HTTP: reads and decodes images, asks the worker."""

import asyncio
import base64
import binascii
import json
import math
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Deque, Dict, List, NamedTuple, Optional

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ..errors import InputError
from ..runtime import Adaptive
from .channel import CLOSED, Asked, Channel
from .served_bank import decode
from .worker import clock

# in Python 3.10 asyncio has a TimeoutError of its own, hence "noqa"
MS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 200, 500, 1000, 5000)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Limits(NamedTuple):
    """What requests may be.

    Attributes:
        slo_ms: they are answered so long after their last byte arrived.
        body_bytes: of one request.
        images: in one request.
        pixels: of one image, before it is resized.
        body_s: for its last byte to arrive.
        requests: at the same time; together they have at most 16 times
            ``body_bytes``.
        answer_s: until a request is given up that the worker lost.
    """
    slo_ms: float
    body_bytes: int = 16 << 20
    images: int = 16
    pixels: int = 1 << 25
    body_s: float = 10.
    requests: int = 512
    answer_s: float = 30.


class Refusal(Exception):
    """A request that is not answered: an HTTP status, a reason and, for
    refusals because of load, when to come again, in milliseconds."""

    def __init__(self,
                 status: int,
                 reason: str,
                 wait_ms: Optional[float] = None) -> None:
        super().__init__(reason)
        self.status = status
        self.wait_ms = wait_ms

    def response(self) -> Response:
        """The answer to the client."""
        value: Dict[str, Any] = dict(error=str(self))
        headers = {}
        if self.wait_ms is not None:
            value['retry_after_ms'] = max(round(self.wait_ms, 1), 1.)
            headers['Retry-After'] = str(max(math.ceil(self.wait_ms / 1e3), 1))
        if self.status in (408, 413):
            headers['Connection'] = 'close'  # the rest of the body is not read
        return JSONResponse(value, self.status, headers)


class Metrics:
    """What Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            'pss_requests',
            'Requests by HTTP status', ['status'],
            registry=self.registry)
        self.misses = Counter(
            'pss_misses',
            'Requests that were not answered within the objective', ['reason'],
            registry=self.registry)
        self.images = Counter(
            'pss_images',
            'Images answered by each subnet', ['subnet'],
            registry=self.registry)
        self.sizes = Histogram(
            'pss_batch_size',
            'Images of a batch',
            buckets=SIZES,
            registry=self.registry)
        self.network = Histogram(
            'pss_batch_ms',
            'Milliseconds of a batch in the network',
            buckets=MS,
            registry=self.registry)
        self.queue = Histogram(
            'pss_queue_ms',
            'Milliseconds from the arrival of an image to its batch',
            buckets=MS,
            registry=self.registry)
        self.response = Histogram(
            'pss_response_ms',
            'Milliseconds from the arrival of a request to its answer',
            buckets=MS,
            registry=self.registry)
        self.waiting = Gauge(
            'pss_waiting',
            'Images left waiting when the last batch began',
            registry=self.registry)
        self.slowness = Gauge(
            'pss_slowness',
            'How much slower batches are than measured at the start',
            registry=self.registry)
        for reason in ('late', 'refused'):
            self.misses.labels(reason)

    def of_batch(self, batch: Dict[str, Any]) -> None:
        """Records a batch, as the worker describes it."""
        self.waiting.set(batch['waiting'])
        self.slowness.set(batch['slowness'])
        if batch['size']:
            self.images.labels(batch['subnet']).inc(batch['size'])
            self.sizes.observe(batch['size'])
            self.network.observe(batch['ms'])


class Front:
    """Answers HTTP requests with what the worker says.

    Args:
        channel: to the worker.
        net: the bank, to decode images with.
        limits: what requests may be.
        decoders: threads that decode images.
    """

    def __init__(self,
                 channel: Channel,
                 net: Adaptive,
                 limits: Limits,
                 decoders: int = 2) -> None:
        self.channel = channel
        self.net = net
        self.limits = limits
        self.decoders = decoders
        self.metrics = Metrics()
        self._waiting: Dict[int, asyncio.Future] = {}
        self._number = 0
        self._active = 0  # requests
        self._held = 0  # bytes of their bodies
        self._subnets: Optional[Dict[str, Any]] = None
        self._is_lost = False
        self._full_until = 0.  # refused without asking
        self._full_for = 0  # requests of at least so many images
        self._missed = 0  # images
        self._after: Deque[float] = deque(maxlen=64)  # the networks, in ms
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._known = asyncio.Event()

    def _begin(self) -> None:
        """Starts what must not exist before the process is forked."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._pool = ThreadPoolExecutor(self.decoders)
            threading.Thread(target=self._receive, daemon=True).start()

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
                self._settle(
                    number,
                    Refusal(503, 'the networks have ended', wait_ms=5e3))
        elif 'subnets' in value:
            self._subnets = value
            self._known.set()
        elif 'refused' in value:
            wait = value['wait_ms']
            if wait is not None:
                self._full_until = clock() + wait
                self._full_for = value['count']
            self._settle(
                value['refused'],
                Refusal(
                    503, f'more arrives than can be answered within '
                    f'{self.limits.slo_ms:g} ms', wait)
                if wait is not None else Refusal(
                    413, 'so many images cannot be answered within '
                    f'{self.limits.slo_ms:g} ms even alone; send fewer'))
        else:
            self.metrics.of_batch(value['batch'])
            for answer in value['answers']:
                self._settle(answer['number'], answer['results'])
            for number in value['failed']:
                self._settle(number, Refusal(500, value['problem']))

    def _is_full(self, wait_ms: float) -> Refusal:
        return Refusal(
            503, 'more arrives than can be answered within '
            f'{self.limits.slo_ms:g} ms', wait_ms)

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
        self.metrics.response.observe(clock() - start)
        return response

    async def _predict(self, request: Request) -> Response:
        if self._is_lost:
            raise Refusal(503, 'the networks have ended', wait_ms=5e3)
        if self._active > self.limits.requests:
            raise Refusal(
                503, f'{self.limits.requests} requests are open '
                'already', 1e3)
        top = _top(request.query_params.get('top'))
        body = bytearray()
        try:
            try:
                await asyncio.wait_for(
                    self._read(request, body), self.limits.body_s)
            except asyncio.TimeoutError:  # noqa: UP041
                raise Refusal(
                    408, 'the body did not arrive within '
                    f'{self.limits.body_s:g} s') from None
            arrived = clock()
            contents = await self._contents(request, bytes(body))
        finally:
            self._held -= len(body)
        left = self._full_until - clock()
        if left > 0 and len(contents) >= self._full_for:
            # the worker would refuse it as well, and decoding takes time
            self._missed += len(contents)
            raise self._is_full(left)
        assert self._loop is not None
        try:
            images = await self._loop.run_in_executor(self._pool, decode,
                                                      self.net, contents,
                                                      self.limits.pixels)
        except InputError as error:
            raise Refusal(422, str(error)) from None
        results = await self._ask(arrived, top, images)
        total = clock() - arrived
        if total > self.limits.slo_ms:
            self.metrics.misses.labels('late').inc()
        last = max(r['queue_ms'] + r['network_ms'] for r in results)
        self._after.append(max(total - last, 0.))
        for result in results:
            self.metrics.queue.observe(result['queue_ms'])
        return JSONResponse(dict(predictions=results, total_ms=round(total, 3)))

    async def _ask(self, arrived: float, top: Optional[int],
                   images: List[Any]) -> Any:
        """Lets the worker answer."""
        self._number += 1
        number = self._number
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self.channel.ask(
                Asked(number, arrived, self._reserve(), top, self._missed),
                images)
            self._missed = 0
            return await asyncio.wait_for(future, self.limits.answer_s)
        except (asyncio.TimeoutError, *CLOSED):  # noqa: UP041
            raise Refusal(503, 'the networks do not answer', 5e3) from None
        finally:
            self._waiting.pop(number, None)

    def _reserve(self) -> float:
        """How long an answer takes after the networks, as of most of the last
        ones, in milliseconds; at most a third of the objective."""
        if not self._after:
            return 0.
        longest = sorted(self._after)[int(0.95 * len(self._after))]
        return min(longest, self.limits.slo_ms / 3)

    async def _read(self, request: Request, body: bytearray) -> None:
        """Reads a body as far as it may be held."""
        most = self.limits.body_bytes
        too_large = Refusal(413, f'expected a body of at most {most} bytes')
        announced = request.headers.get('content-length', '0')
        if not announced.isdecimal() or int(announced[:20]) > 4 * most:
            raise too_large
        beyond = 0
        async for chunk in request.stream():
            if beyond or len(body) + len(chunk) > most:
                # many clients only read the answer after they have sent all
                beyond += len(chunk)
                if beyond > 4 * most:
                    break
                continue
            if self._held + len(chunk) > 16 * most:
                raise Refusal(503, 'too many bytes are held already', 1e3)
            body += chunk
            self._held += len(chunk)
        if beyond:
            raise too_large

    async def _contents(self, request: Request, body: bytes) -> List[bytes]:
        """The image files of a body, by its type."""
        kind = request.headers.get('content-type', '')
        kind = kind.partition(';')[0].strip().lower()
        if kind == 'multipart/form-data':
            contents = await self._parts(request, body)
        elif kind == 'application/json':
            assert self._loop is not None
            contents = await self._loop.run_in_executor(self._pool, from_json,
                                                        body,
                                                        self.limits.images)
        elif kind.startswith('image/') or kind == 'application/octet-stream':
            contents = [body]
        else:
            raise Refusal(
                415, f'content-type={kind[:80]!r}: expected '
                'multipart/form-data, application/json, image/... or '
                'application/octet-stream')
        if not 0 < len(contents) <= self.limits.images:
            raise Refusal(
                422, f'{len(contents)} images: expected 1 to '
                f'{self.limits.images}')
        return contents

    async def _parts(self, request: Request, body: bytes) -> List[bytes]:

        async def stream() -> Any:
            yield body

        try:
            form = await MultiPartParser(
                request.headers,
                stream(),
                max_files=self.limits.images,
                max_fields=0,
                max_part_size=self.limits.body_bytes).parse()
        except MultiPartException as error:
            raise Refusal(422, f'multipart: {error.message}') from None
        except Exception as error:  # of the parser below it
            raise Refusal(422, f'multipart: {type(error).__name__}') from None
        try:
            return [
                await part.read()  # type: ignore[union-attr,unused-ignore]
                for _, part in form.multi_items()
            ]
        finally:
            await form.close()

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
        return Response(
            generate_latest(self.metrics.registry),
            headers={'Content-Type': CONTENT_TYPE_LATEST})


def _top(text: Optional[str]) -> Optional[int]:
    """How many classes are asked for; ``None`` for all scores."""
    if text is None:
        return None
    if not (text.isdecimal() and text.isascii() and 0 < int(text[:9]) < 10**6):
        raise Refusal(
            422, f'top={text[:80]!r}: expected an integer of at '
            'least 1')
    return int(text)


def from_json(body: bytes, most: int) -> List[bytes]:
    """The image files in ``{"image": BASE64}``, ``{"images": [BASE64, ...]}``.

    Raises:
        Refusal: for anything else.
    """
    expected = 'expected {"image": BASE64} or {"images": [BASE64, ...]}'
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(422, f'not JSON; {expected}') from None
    if not isinstance(value, dict) or len(
            value) != 1 or not value.keys() <= {'image', 'images'}:
        raise Refusal(422, expected)
    found = value.get('images', [value.get('image')])
    if not isinstance(found, list) or not 0 < len(found) <= most or \
            not all(isinstance(text, str) for text in found):
        raise Refusal(422, f'{expected}, of 1 to {most} images')
    try:
        return [base64.b64decode(text, validate=True) for text in found]
    except (binascii.Error, ValueError):
        raise Refusal(422, 'not base64') from None
