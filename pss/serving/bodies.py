"""Requests: their limits, what is in them, and refusals."""

import asyncio
import base64
import binascii
import json
import math
from concurrent.futures import Executor
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import anyio
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .channel import clock

SMALL = 1 << 17  # bytes or pixels that a thread would not be worth its time for


class Limits(NamedTuple):
    """What requests may be.

    Attributes:
        slo_ms: they are answered so long after their last byte arrived.
        body_bytes: of one request.
        images: in one request.
        pixels: of one image, before it is resized.
        body_s: for a head to arrive, and for the last byte of its body.
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


def refusal_of(wait_ms: Optional[float], slo_ms: float) -> Refusal:
    """Of a request that the policy does not admit.

    Args:
        wait_ms: when to come again; ``None`` or infinity if it could not be
            answered in time even alone.
        slo_ms: the objective.
    """
    if wait_ms is None or math.isinf(wait_ms):
        return Refusal(
            413, f'so many images cannot be answered within {slo_ms:g} ms even '
            'alone; send fewer')
    return Refusal(503,
                   f'more arrives than can be answered within {slo_ms:g} ms',
                   wait_ms)


class Bodies:
    """Reads the bodies of requests as far as the limits allow.

    Args:
        limits: what requests may be.
        pool: where large JSON is read.
    """

    def __init__(self, limits: Limits, pool: Executor) -> None:
        self.limits = limits
        self._pool = pool
        self._held = 0  # bytes of all bodies

    async def files(self, request: Request) -> Tuple[List[bytes], float]:
        """The image files of a request, and when its last byte arrived.

        Raises:
            Refusal: for a body that is none, or beyond the limits.
        """
        body = bytearray()
        try:
            try:
                # asyncio's would take another task
                with anyio.fail_after(self.limits.body_s):
                    await self._read(request, body)
            except TimeoutError:
                raise Refusal(
                    408, 'the body did not arrive within '
                    f'{self.limits.body_s:g} s') from None
            arrived = clock()
            return await self._files(request, bytes(body)), arrived
        finally:
            self._held -= len(body)

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

    async def _files(self, request: Request, body: bytes) -> List[bytes]:
        """The image files of a body, by its type."""
        kind = request.headers.get('content-type', '')
        kind = kind.partition(';')[0].strip().lower()
        if kind == 'multipart/form-data':
            contents = await self._parts(request, body)
        elif kind == 'application/json':
            if len(body) <= SMALL:
                contents = from_json(body, self.limits.images)
            else:
                contents = await asyncio.get_running_loop().run_in_executor(
                    self._pool, from_json, body, self.limits.images)
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


def top_of(text: Optional[str]) -> Optional[int]:
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
