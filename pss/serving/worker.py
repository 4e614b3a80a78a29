"""The process that runs the networks."""

import threading
import time
from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np

from ..errors import InputError
from ..runtime import Adaptive
from .channel import CLOSED, Asked, Channel, plain
from .latency_grid import LatencyGrid
from .scheduler import Batch, Scheduler


def clock() -> float:
    """Milliseconds of the monotonic clock, which all processes share."""
    return 1e3 * time.monotonic()


class Image(NamedTuple):
    """One image of a request in the queue."""
    request: 'Request'
    position: int


class Request:
    """A request whose images may be answered in several batches."""

    def __init__(self, asked: Asked, images: np.ndarray) -> None:
        self.asked = asked
        self.images = images
        self.results: List[Dict[str, Any]] = [{} for _ in images]
        self.left = len(images)
        self.is_open = True


class Worker:
    """Takes requests from a channel, and answers them as a scheduler says.

    A thread receives, so that a request is refused at once also while a batch
    runs; the thread that calls :meth:`work` runs the batches.

    Args:
        channel: to the process that speaks HTTP.
        net: the bank.
        kepts: its subnets, in the grid's order.
        grid: their latencies.
        slo_ms: an image is answered so long after it arrived.
    """

    def __init__(self, channel: Channel, net: Adaptive, kepts: Sequence[Any],
                 grid: LatencyGrid, slo_ms: float) -> None:
        self.channel = channel
        self.net = net
        self.kepts = kepts
        self.scheduler = Scheduler(grid, slo_ms)
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._is_over = False

    def work(self) -> None:
        """Answers requests until the channel is closed and nothing waits."""
        receiver = threading.Thread(target=self._receive, daemon=True)
        receiver.start()
        while True:
            with self._changed:
                while not len(self.scheduler) and not self._is_over:
                    self._changed.wait()
                if not len(self.scheduler):
                    return
                batch = self.scheduler.next(clock())
                waiting = len(self.scheduler)
            if batch is not None:
                self._run(batch, waiting)

    def _receive(self) -> None:
        try:
            while True:
                self._admit(Request(*self.channel.asked()))
        except CLOSED:
            pass
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify()

    def _admit(self, request: Request) -> None:
        with self._changed:
            if request.asked.missed:
                self.scheduler.arrivals.observe(clock(), request.asked.missed)
            wait = self.scheduler.arrive(
                clock(), [Image(request, i) for i in range(request.left)],
                request.asked.arrived - request.asked.reserve)
            self._changed.notify()
        if wait is not None:
            self._refuse(request, wait)

    def _refuse(self, request: Request, wait_ms: float) -> None:
        request.is_open = False
        # infinity is not JSON
        self._send(
            dict(
                refused=request.asked.number,
                count=len(request.images),
                wait_ms=wait_ms if np.isfinite(wait_ms) else None))

    def _run(self, batch: Batch, waiting: int) -> None:
        late = {
            image.request.asked.number: image.request
            for image in batch.late
        }
        for request in late.values():
            if request.is_open:
                self._refuse(request, 1.)
        items = batch.items
        start = clock()
        kept = self.kepts[batch.subnet]
        found: List[Dict[str, Any]] = []
        problem = ''
        if items:
            images = np.stack(
                [image.request.images[image.position] for image in items])
            try:
                found = self.net.run(kept, images)
            except InputError as error:
                problem = str(error)
        took = clock() - start
        with self._changed:
            self.scheduler.ended(clock(), batch, took)
            level = self.scheduler.slowness.level
        for image, prediction in zip(items, found):
            request = image.request
            request.left -= 1
            request.results[image.position] = dict(
                plain(prediction, request.asked.top, self.net.classes),
                subnet=kept.name,
                queue_ms=round(start - request.asked.arrived, 3),
                network_ms=round(took, 3))
        done = {
            image.request.asked.number: image.request
            for image in items if image.request.is_open
        }
        self._send(
            dict(
                batch=dict(
                    subnet=kept.name,
                    size=len(items),
                    ms=took,
                    waiting=waiting,
                    slowness=level),
                answers=[
                    dict(number=number, results=request.results)
                    for number, request in done.items()
                    if not request.left and not problem
                ],
                failed=list(done) if problem else [],
                problem=problem))
        if problem:
            for request in done.values():
                request.is_open = False

    def _send(self, value: Dict[str, Any]) -> None:
        with self._sending:
            try:
                self.channel.answer(value)
            except CLOSED:  # nobody waits for it any more
                return
