"""The process that runs the networks."""

import gc
import queue
import threading
from collections import Counter
from contextlib import nullcontext
from typing import Any, Callable, Dict, Optional, Sequence, Set

import numpy as np

from .channel import CLOSED, Asked, Channel, Order
from .worker import Engine, Ran, Request, Turn, Worker

DONE_S = 300.  # for a process that speaks HTTP to open a bank


class NotOpened(Exception):
    """Why a process that speaks HTTP has not opened a bank."""


class FrontRequest(Request):
    """A request of one of the processes that speak HTTP.

    Args:
        front: the number of that process.
        asked: what it says.
        images: its loaded images.
    """

    def __init__(self, front: int, asked: Asked, images: np.ndarray) -> None:
        super().__init__(asked, images)
        self.front = front


class ChannelWorker(Worker):
    """Answers the requests of all channels, from one queue.

    Args:
        channels: to the processes that speak HTTP.
        opened: opens and measures the bank in its folder.
    """

    def __init__(self, channels: Sequence[Channel],
                 opened: Callable[[Turn], Engine]) -> None:
        self.channels = channels
        self._opened = opened
        self._sending = [threading.Lock() for _ in channels]
        self._left: Set[int] = set()  # channels
        self._closed: Counter = Counter()  # channels that did, by bank
        self._replacing = threading.Lock()
        self._number = 0  # of the last bank that was opened
        self._done: queue.Queue = queue.Queue()
        super().__init__(opened(nullcontext))
        self._send_all(self._description(0))

    def work(self) -> None:
        """Answers requests until all channels are left, or one is closed
        before, and nothing waits."""
        gc.freeze()  # looking through what stays would hold batches up
        for front in range(len(self.channels)):
            threading.Thread(
                target=self._receive, args=(front, ), daemon=True).start()
        super().work()

    def _receive(self, front: int) -> None:
        has_left = False
        try:
            while not has_left:
                found = self.channels[front].asked()
                if not isinstance(found, Order):
                    self.admit(FrontRequest(front, *found))
                elif found.what == 'leave':
                    has_left = True
                else:
                    self._obey(front, found)
        except CLOSED:
            pass
        finally:
            with self._changed:
                self._left.add(front)
                is_last = len(self._left) == len(self.channels)
            if is_last or not has_left:
                self.end()

    def _obey(self, front: int, order: Order) -> None:
        if order.what == 'open':
            threading.Thread(
                target=self._replace, args=(front, ), daemon=True).start()
        elif order.what == 'done':
            self._done.put(order)
        else:
            with self._changed:
                self._closed[order.bank] += 1
                if self._closed[order.bank] == len(self.channels):
                    self.engines.pop(order.bank, None)

    def _replace(self, front: int) -> None:
        """Opens the folder's bank, here and in all processes that speak HTTP,
        and then lets all of them use it; says what came of it to the one that
        asked."""
        problem: Optional[Dict[str, Any]] = None
        if self._replacing.acquire(blocking=False):
            try:
                self._open()
            except NotOpened as error:
                self._send_all(dict(use=None))
                problem = dict(status=409, problem=str(error))
            except Exception as error:  # no file may end the server
                problem = dict(status=422, problem=str(error))
            finally:
                self._replacing.release()
        else:
            problem = dict(
                status=409, problem='the bank is being opened already')
        self._send(front, dict(reloaded=problem))

    def _open(self) -> None:
        engine = self._opened(self.turn)
        self._number += 1
        bank = self._number
        with self._changed:
            *_, last = self.engines.values()
            engine.scheduler.arrivals = last.scheduler.arrivals
            self.engines[bank] = engine
        try:
            self._send_all(self._description(bank))
            self._wait_done(bank)
        except NotOpened:
            with self._changed:
                del self.engines[bank]
            raise
        self._send_all(dict(use=bank))
        self._wait_done(bank)

    def _wait_done(self, bank: int) -> None:
        """Waits until all channels say that it is done.

        Raises:
            NotOpened: if one of them could not.
        """
        waiting = len(self.channels)
        while waiting:
            try:
                order = self._done.get(timeout=DONE_S)
            except queue.Empty:
                raise NotOpened('a process that speaks HTTP does not '
                                'answer') from None
            if order.bank == bank:  # not of one that was given up
                if order.problem:
                    raise NotOpened(order.problem)
                waiting -= 1

    def _description(self, bank: int) -> Dict[str, Any]:
        return dict(opened=bank, described=self.engines[bank].described())

    def refused(self, request: Request, wait_ms: float) -> None:
        """See :class:`.Worker`."""
        # infinity is not JSON
        self._send(
            of(request),
            dict(
                refused=request.asked.number,
                count=len(request.images),
                wait_ms=wait_ms if np.isfinite(wait_ms) else None))

    def ran(self, found: Ran) -> None:
        """See :class:`.Worker`."""
        # the first process counts a batch that none has asked for
        fronts = sorted(
            {of(request)
             for request in (*found.answered, *found.failed)} or {0})
        for front in fronts:
            self._send(
                front,
                dict(
                    batch=found.batch if front == fronts[0] else None,
                    answers=[
                        dict(
                            number=request.asked.number,
                            results=request.results)
                        for request in found.answered if of(request) == front
                    ],
                    failed=[
                        request.asked.number for request in found.failed
                        if of(request) == front
                    ],
                    problem=found.problem))

    def _send_all(self, value: Dict[str, Any]) -> None:
        for front in range(len(self.channels)):
            self._send(front, value)

    def _send(self, front: int, value: Dict[str, Any]) -> None:
        with self._sending[front]:
            try:
                self.channels[front].answer(value)
            except CLOSED:  # nobody waits for it any more
                return


def of(request: Request) -> int:
    """The process whose request it is."""
    assert isinstance(request, FrontRequest)
    return request.front
