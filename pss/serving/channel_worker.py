"""The process that runs the networks."""

import threading
from contextlib import nullcontext
from typing import Any, Callable, Dict

import numpy as np

from .channel import CLOSED, Channel, Order
from .worker import Engine, Ran, Request, Turn, Worker


class ChannelWorker(Worker):
    """Answers the requests of a channel.

    Args:
        channel: to the process that speaks HTTP.
        opened: opens and measures the bank in its folder.
    """

    def __init__(self, channel: Channel, opened: Callable[[Turn],
                                                          Engine]) -> None:
        self.channel = channel
        self._opened = opened
        self._sending = threading.Lock()
        super().__init__(opened(nullcontext))
        self._send(dict(bank=0, **self.engines[0].described()))

    def work(self) -> None:
        """Answers requests until the channel is closed and nothing waits."""
        threading.Thread(target=self._receive, daemon=True).start()
        super().work()

    def _receive(self) -> None:
        try:
            while True:
                found = self.channel.asked()
                if isinstance(found, Order):
                    self._obey(found)
                else:
                    self.admit(Request(*found))
        except CLOSED:
            pass
        finally:
            self.end()

    def _obey(self, order: Order) -> None:
        if order.what == 'open':
            threading.Thread(
                target=self._open, args=(order.bank, ), daemon=True).start()
        else:
            with self._changed:
                self.engines.pop(order.bank, None)

    def _open(self, bank: int) -> None:
        try:
            engine = self._opened(self.turn)
        except Exception as error:  # no file may end the server
            self._send(dict(bank=bank, problem=str(error)))
            return
        with self._changed:
            *_, last = self.engines.values()
            engine.scheduler.arrivals = last.scheduler.arrivals
            self.engines[bank] = engine
        self._send(dict(bank=bank, **engine.described()))

    def refused(self, request: Request, wait_ms: float) -> None:
        """See :class:`.Worker`."""
        # infinity is not JSON
        self._send(
            dict(
                refused=request.asked.number,
                count=len(request.images),
                wait_ms=wait_ms if np.isfinite(wait_ms) else None))

    def ran(self, found: Ran) -> None:
        """See :class:`.Worker`."""
        self._send(
            dict(
                batch=found.batch,
                answers=[
                    dict(number=request.asked.number, results=request.results)
                    for request in found.answered
                ],
                failed=[request.asked.number for request in found.failed],
                problem=found.problem))

    def _send(self, value: Dict[str, Any]) -> None:
        with self._sending:
            try:
                self.channel.answer(value)
            except CLOSED:  # nobody waits for it any more
                return
