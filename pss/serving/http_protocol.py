"""How connections are kept: for how long, and what ends them."""

import asyncio
from typing import Any, Optional

from uvicorn.protocols.http.h11_impl import H11Protocol


class PatientProtocol(H11Protocol):
    """Uvicorn's protocol on h11, which bounds headers, unlike its other one.

    A client may close its side after it has sent a request, and still gets the
    answer. One that does not send the head of a request in time is cut off.

    Attributes:
        head_s: seconds for the head of a request to arrive.
    """

    head_s = 10.
    _head_timer: Optional[asyncio.TimerHandle] = None
    _is_half_closed = False

    def connection_made(self, transport: Any) -> None:
        """Begins to wait for a request."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Waits for the rest of a head, unless it is complete."""
        super().data_received(data)
        if self._answers():
            self._stop_waiting()
        elif self._head_timer is None:
            self._wait_for_head()

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
        if self._is_half_closed and not self.transport.is_closing():
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
