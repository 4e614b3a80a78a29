"""Answers requests from a queue, batch by batch."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import (
    Any,
    Callable,
    ContextManager,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
)

import numpy as np

from ..errors import InputError
from ..runtime import Adaptive
from .channel import Asked, clock, plain
from .follower import FollowerScheduler
from .latency_grid import LatencyGrid
from .scheduler import Batch, Scheduler

# Around each batch that is run to measure it.
Turn = Callable[[], ContextManager[None]]
POLICIES = dict(slack=Scheduler, follower=FollowerScheduler)
TURN_S = 0.05  # that measuring waits for the queue to be empty


class Engine:
    """A bank that is served, with the queue of its images.

    Args:
        net: the bank.
        kepts: its subnets, in the grid's order.
        grid: their latencies.
        slo_ms: an image is answered so long after it arrived.
        policy: ``'slack'`` or ``'follower'``.
        index: identifies the bank's index.
    """

    def __init__(self,
                 net: Adaptive,
                 kepts: Sequence[Any],
                 grid: LatencyGrid,
                 slo_ms: float,
                 policy: str = 'slack',
                 index: str = '') -> None:
        self.net = net
        self.kepts = kepts
        self.grid = grid
        self.slo_ms = slo_ms
        self.scheduler: Any = POLICIES[policy](grid, slo_ms)
        self.index = index

    def described(self) -> Dict[str, Any]:
        """What ``GET /subnets`` says."""
        net, grid, slo_ms = self.net, self.grid, self.slo_ms
        return dict(
            index=self.index,
            slo_ms=slo_ms,
            metric=net.subnets.metric,
            resources=net.resources,
            classes=net.classes,
            subnets=[
                dict(
                    name=kept.name,
                    resolution=kept.subnet.resolution,
                    widths=list(kept.subnet.widths),
                    costs=dict(kept.costs),
                    held_out_accuracy=kept.held_out_accuracy,
                    used=i in grid.order,
                    capacity=round(grid.capacity(i, slo_ms), 2),
                    latency_ms={
                        str(size): round(grid.latencies_ms[i][size], 4)
                        for size in grid.sizes
                    }) for i, kept in enumerate(self.kepts)
            ])


class Image(NamedTuple):
    """One image of a request in the queue."""
    request: 'Request'
    position: int


class Request:
    """A request whose images may be answered in several batches.

    Args:
        asked: what it says.
        images: its loaded images.
    """

    def __init__(self, asked: Asked, images: np.ndarray) -> None:
        self.asked = asked
        self.images = images
        self.results: List[Dict[str, Any]] = [{} for _ in images]
        self.left = len(images)
        self.is_open = True


class Ran(NamedTuple):
    """What became of a batch.

    Attributes:
        batch: its subnet, size, milliseconds and how many images it left
            waiting.
        answered: requests that have all their results now.
        failed: requests that get none.
        problem: why.
    """
    batch: Dict[str, Any]
    answered: List[Request]
    failed: List[Request]
    problem: str


class Worker:
    """Answers requests as a scheduler says.

    :meth:`admit` may be called while a batch runs, by other threads, so that a
    request is refused at once; the thread that calls :meth:`work` runs the
    batches, and one of its own answers, while the next batch runs. A subclass
    says what is done with refusals and results. Several banks can be open,
    while one replaces another.

    Args:
        engine: the bank.
    """

    def __init__(self, engine: Engine) -> None:
        self.engines = {0: engine}
        self._changed = threading.Condition()
        self._running = threading.Lock()
        # for the thread that answers: calls, and at last None
        self._calls: SimpleQueue = SimpleQueue()
        self._is_over = False

    def refused(self, request: Request, wait_ms: float) -> None:
        """Called for a request that is not admitted, or late; see
        :meth:`.SlackPolicy.wait_ms`."""
        raise NotImplementedError

    def ran(self, found: Ran) -> None:
        """Called after a batch."""
        raise NotImplementedError

    def admit(self, request: Request) -> None:
        """Takes a request into the queue, or refuses it."""
        with self._changed:
            scheduler = self.engines[request.asked.bank].scheduler
            if request.asked.missed:
                missed = request.asked.missed  # as if one by one
                scheduler.arrivals.observe(clock(), missed, missed)
            wait = scheduler.arrive(
                clock(), [Image(request, i) for i in range(request.left)],
                request.asked.arrived - request.asked.reserve)
            self._changed.notify_all()
        if wait is not None:
            request.is_open = False
            self.refused(request, wait)

    def end(self) -> None:
        """Lets :meth:`work` return as soon as nothing waits."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def work(self) -> None:
        """Answers requests until :meth:`end` was called."""
        with ThreadPoolExecutor(1) as pool:
            # while the next batch runs, which needs no interpreter
            answers = pool.submit(self._answer_all)
            answers.add_done_callback(lambda _: self._notify())

            def is_due() -> bool:
                return self._is_over or answers.done() or \
                    self._next() is not None

            try:
                while True:
                    with self._changed:
                        self._changed.wait_for(is_due)
                        engine = self._next()
                        if engine is None or answers.done():
                            break
                        batch = engine.scheduler.next(clock())
                        waiting = len(engine.scheduler)
                    if batch is not None:
                        self._run(engine, batch, waiting)
                    self._notify()
            finally:
                self._calls.put(None)
            answers.result()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _answer_all(self) -> None:
        """Makes calls until there are no more."""
        for call in iter(self._calls.get, None):
            call()

    def _next(self) -> Optional[Engine]:
        """The oldest bank that has images waiting."""
        return next(
            (engine
             for engine in self.engines.values() if len(engine.scheduler)),
            None)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits until no image does, but not for long, and holds batches off:
        to measure another bank meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._next() is None, TURN_S)
        with self._running:
            yield

    def _run(self, engine: Engine, batch: Batch, waiting: int) -> None:
        if batch.late:
            self._calls.put(partial(self._refuse, batch.late))
        items = batch.items
        kept = engine.kepts[batch.subnet]
        found: List[Dict[str, Any]] = []
        problem = ''
        with self._running:
            start = clock()
            if items:
                images = np.stack(
                    [image.request.images[image.position] for image in items])
                try:
                    found = engine.net.run(kept, images)
                except InputError as error:
                    problem = str(error)
            took = clock() - start
        with self._changed:
            engine.scheduler.ended(clock(), batch, took)
        ran = dict(
            subnet=kept.name,
            size=len(items),
            ms=took,
            waiting=waiting,
            slowness=engine.scheduler.slowness.level)
        self._calls.put(
            partial(self._answer, engine, items, found, start, ran, problem))

    def _refuse(self, images: List[Image]) -> None:
        """Refuses the requests of images that are late."""
        for request in {image.request: None for image in images}:
            if request.is_open:
                request.is_open = False
                self.refused(request, 1.)

    def _answer(self, engine: Engine, images: List[Image],
                found: List[Dict[str, Any]], start: float,
                batch: Dict[str, Any], problem: str) -> None:
        """Gives a batch's predictions to its requests."""
        for image, prediction in zip(images, found):
            request = image.request
            request.left -= 1
            request.results[image.position] = dict(
                plain(prediction, request.asked.top, engine.net.classes),
                subnet=batch['subnet'],
                batch=batch['size'],
                queue_ms=round(start - request.asked.arrived, 3),
                network_ms=round(batch['ms'], 3))
        done = [
            request for request in {
                image.request: None
                for image in images
            } if request.is_open
        ]
        if problem:
            for request in done:
                request.is_open = False
        self.ran(
            Ran(batch,
                answered=[r for r in done if not r.left and not problem],
                failed=done if problem else [],
                problem=problem))
