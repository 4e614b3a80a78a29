"""The queue of a server, without its clock and its threads."""

import math
from bisect import insort
from collections import deque
from statistics import median
from typing import Any, Deque, List, NamedTuple, Optional

from .estimates import ArrivalRate, Caution, Hindsight, Slowness, backlog_ms
from .latency_grid import LatencyGrid
from .policy import Pace, SlackPolicy


class Waiting(NamedTuple):
    """An image in the queue."""
    deadline: float
    number: int  # of the arrival, which settles ties
    item: Any


class Batch(NamedTuple):
    """What runs next.

    Attributes:
        subnet: its index.
        items: what it answers, oldest first.
        late: items that are refused, since they cannot be in time any more.
        expected_ms: how long it will take.
    """
    subnet: int
    items: List[Any]
    late: List[Any]
    expected_ms: float


class Scheduler:
    """Admits images, and says what runs next.

    It is told the time with every call, in milliseconds, and is called by one
    thread at a time.

    Args:
        grid: latencies and accuracies.
        slo_ms: an image is answered so long after it arrived.

    Attributes:
        slowness (Slowness): of the batches so far.
        arrivals (ArrivalRate): of admitted and refused images.
        caution (Caution): by what became of images.
        hindsight (Hindsight): by what batches took together.
    """

    RECENT = 32  # requests, for their slack, and gaps between batches
    SPARE = 1 / 3  # of the objective, for work that chance adds
    FORGET_MS = 1000.  # without a batch, until what was observed is forgotten

    def __init__(self, grid: LatencyGrid, slo_ms: float) -> None:
        self.grid = grid
        self.policy = SlackPolicy(grid, slo_ms)
        self.slowness = Slowness()
        self.arrivals = ArrivalRate()
        self.caution = Caution()
        self.hindsight = Hindsight(slo_ms)
        # images a millisecond that the fastest subnet can answer
        self._most = grid.capacity(grid.fastest, slo_ms) / 1e3
        self._running: List[float] = []  # deadlines
        self._queue: List[Waiting] = []
        self._number = 0
        self._free_at = 0.
        self._slacks: Deque[float] = deque(maxlen=self.RECENT)
        self._gaps: Deque[float] = deque(maxlen=self.RECENT)
        self._began = 0.  # the last batch
        self._took: Optional[float] = None  # it, if others waited at its end
        self._gap = 0.  # before it; as expected, if none waited
        self._pace = Pace()  # when it began

    def __len__(self) -> int:
        return len(self._queue)

    def pace(self, now: float) -> Pace:
        """What the policy takes from the observations so far.

        Caution counts as far as the fastest subnet would be busy: what made
        images late under heavy traffic is no danger once it is over. Where that
        is hardly faster than what arrives, plans end as much earlier as chance
        may add work beyond what there is time for anyway. Hindsight always
        counts: cores that are slow for a moment are so under any traffic.
        """
        rate = self.arrivals.rate(now)
        together = self.arrivals.together
        each = self.slowness.level / self._most
        backlog = backlog_ms(rate * each, each, together)
        room = backlog / self.policy.slo_ms - self.SPARE
        return Pace(
            self.slowness.level,
            self.slowness.spread,
            rate,
            max(self.caution.margin * min(rate / self._most, 1),
                min(room, self.caution.MOST), self.hindsight.margin),
            slack=median(self._slacks) if self._slacks else math.inf,
            gap=median(self._gaps) if self._gaps else 0.,
            together=together)

    def arrive(self,
               now: float,
               items: List[Any],
               arrived: Optional[float] = None) -> Optional[float]:
        """Admits the images of a request, or refuses them all.

        Args:
            now: the time.
            items: one for each image.
            arrived: when they arrived, if that is earlier.

        Returns:
            ``None`` if they are admitted, otherwise when to come again, see
            :meth:`.SlackPolicy.wait_ms`.
        """
        arrived = now if arrived is None else arrived
        self.arrivals.observe(now, len(items))
        self._slacks.append(arrived + self.policy.slo_ms - now)
        wait = self.policy.wait_ms(arrived, max(
            self._free_at, now), [waiting.deadline for waiting in self._queue],
                                   self.pace(now), len(items))
        if wait is not None and self._can_answer(len(items)):
            left = self._free_at + self.FORGET_MS - now
            if math.isinf(wait):
                wait = max(left, 1.)
            if left <= 0 and not self._queue and not self._running:
                self._forget()
                arrived, wait = now, None
        if wait is not None:
            for _ in items:
                self.caution.observe(False)
        else:
            for item in items:
                self._number += 1
                insort(
                    self._queue,
                    Waiting(arrived + self.policy.slo_ms, self._number, item))
        return wait

    def _can_answer(self, count: int) -> bool:
        """Whether so many images can be answered in time where nothing else is
        to be done and batches take what the grid says."""
        return self.policy.wait_ms(0., 0., [], Pace(), count) is None

    def _forget(self) -> None:
        """Forgets how slow batches were, for which everything is refused: only
        batches would correct it, and there are none."""
        self.slowness = Slowness()
        self._gaps.clear()

    def next(self, now: float) -> Optional[Batch]:
        """Takes what runs next from the queue; ``None`` if it is empty."""
        if not self._queue:
            return None
        gap = None
        if self._took is not None:
            gap = max(now - self._began - self._took, 0.)
            self._gaps.append(gap)
        self._began, self._took = now, None
        self._pace = pace = self.pace(now)
        self._gap = pace.gap if gap is None else gap
        choice = self.policy.choose(
            now, [waiting.deadline for waiting in self._queue], pace)
        taken = [
            waiting.item for waiting in self._queue[:choice.late + choice.size]
        ]
        self._running = [
            waiting.deadline for waiting in self._queue[choice.late:len(taken)]
        ]
        for _ in range(choice.late):
            self.caution.observe(False)
        del self._queue[:len(taken)]
        expected = self.grid.latencies_ms[choice.subnet][choice.size]
        self._free_at = now + expected * self.slowness.level + pace.gap
        return Batch(choice.subnet, taken[choice.late:], taken[:choice.late],
                     expected)

    def ended(self, now: float, batch: Batch, took_ms: float) -> None:
        """Records that a batch has ended."""
        self._free_at = now
        for deadline in self._running:
            self.caution.observe(now <= deadline)
        self._running = []
        if batch.items:
            self.slowness.observe(batch.expected_ms, took_ms)
            self.hindsight.observe(self._pace, batch.expected_ms,
                                   took_ms + self._gap)
            self._took = took_ms if self._queue else None
