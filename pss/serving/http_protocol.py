"""How connections are kept: for how long, and what ends them."""

import asyncio
import sys
from typing import Any, Optional

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientProtocol(HttpToolsProtocol):
    """Uvicorn's protocol on httptools, with bounds.

    A client may close its side after it has sent a request, and still gets the
    answer. One that does not send the head of a request in time is cut off, as
    is one that sends much beside the body: endless headers, trailers or
    extensions of chunks, which the parser would hold. A request may offer
    another protocol, as Java's client does in its first one, and is answered as
    if it did not.

    Attributes:
        head_s: seconds for the head of a request to arrive.
    """

    BESIDE = 1 << 14  # bytes beside the body,
    BESIDE_EACH = 8  # and so many more for each of its bytes

    head_s = 10.
    _head_timer: Optional[asyncio.TimerHandle] = None
    _is_half_closed = False
    _spare = BESIDE  # bytes that may still come beside the body
    _is_new = False  # the request began in the data that are read now
    _data = b''  # these

    def connection_made(self, transport: Any) -> None:
        """Begins to wait for a request."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Waits for the rest of a head, unless it is complete."""
        self._is_new, self._data = False, data
        super().data_received(data)
        self._data = b''  # an idle connection holds nothing
        if not self._is_new:  # else some of it may be of the request before
            self._spare -= len(data)
            if self._spare < 0 and not self.transport.is_closing():
                self.send_400_response('The head is too large.')
        if self._answers():
            self._stop_waiting()
        elif self._head_timer is None:
            self._wait_for_head()

    def _should_upgrade(self) -> bool:
        return True  # the request is not begun, since its body was not read

    def handle_websocket_upgrade(self) -> None:
        """Reads a request that offers another protocol again, without that."""
        if self.scope['method'] == 'CONNECT':
            self.send_400_response('This is no proxy.')
            return
        # the parser says where it has stopped in the exception that is handled
        place = sys.exc_info()[1].args[0]  # type: ignore[union-attr]
        lines = [
            b'%b %b HTTP/%b' % (self.scope['method'].encode(), self.url,
                                self.parser.get_http_version().encode())
        ]
        lines += [
            b'%b: %b' % header for header in self.headers
            if header[0] != b'upgrade'
        ]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b'\r\n'.join([*lines, b'', self._data[place:]]))

    def on_message_begin(self) -> None:
        """Begins a request."""
        self._is_new = True
        self._spare = self.BESIDE
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Takes a part of a body."""
        self._spare += (1 + self.BESIDE_EACH) * len(body)
        super().on_body(body)

    def eof_received(self) -> Any:
        """Keeps the connection if it owes an answer to a complete request."""
        self._is_half_closed = self._answers() and not self.cycle.more_body
        return self._is_half_closed

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """Stops waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Closes a connection of which the other side is closed."""
        super().on_response_complete()
        if self._is_half_closed and not self._answers() and \
                not self.transport.is_closing():
            self.transport.close()

    def _answers(self) -> bool:
        """Whether a request has arrived that is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_s,
                                                self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
