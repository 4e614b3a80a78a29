"""A queue that reacts to latencies, to compare the policy with."""

from collections import deque
from typing import Any, Deque, List, Optional, Tuple

from ..runtime import LatencyFollower
from .estimates import ArrivalRate, Slowness
from .latency_grid import LatencyGrid
from .scheduler import Batch


class FollowerScheduler:
    """A queue in front of :class:`.LatencyFollower`.

    The follower is told how long the oldest image of each batch waited and
    ran, and chooses the subnet. Whatever waits runs, up to a useful batch. All
    images are admitted, and those that are late already refused. It is called
    as :class:`.Scheduler` is.

    Args:
        grid: latencies and accuracies.
        slo_ms: an image is answered so long after it arrived.
    """

    def __init__(self, grid: LatencyGrid, slo_ms: float) -> None:
        self.grid = grid
        self.slo_ms = slo_ms
        self.slowness = Slowness()
        self.arrivals = ArrivalRate()
        self._order = grid.order[::-1]
        self._follower = LatencyFollower(
            slo_ms, [grid.latencies_ms[i][1] for i in self._order],
            [grid.accuracies[i] for i in self._order])
        self._queue: Deque[Tuple[float, Any]] = deque()
        self._position = 0
        self._oldest = 0.

    def __len__(self) -> int:
        return len(self._queue)

    def arrive(self,
               now: float,
               items: List[Any],
               arrived: Optional[float] = None) -> None:
        """Queues the images of a request."""
        self.arrivals.observe(now, len(items))
        self._queue.extend(
            (now if arrived is None else arrived, item) for item in items)

    def next(self, now: float) -> Optional[Batch]:
        """Takes what runs next from the queue; ``None`` if it is empty."""
        if not self._queue:
            return None
        late = []
        while self._queue and now - self._queue[0][0] > self.slo_ms:
            late.append(self._queue.popleft()[1])
        self._position = self._follower.position
        subnet = self._order[self._position]
        sizes = self.grid.useful_sizes(subnet, self.slo_ms / 2)
        size = max((s for s in sizes if s <= len(self._queue)), default=0)
        if size:
            self._oldest = self._queue[0][0]
        items = [self._queue.popleft()[1] for _ in range(size)]
        return Batch(subnet, items, late, self.grid.latencies_ms[subnet][size])

    def ended(self, now: float, batch: Batch, took_ms: float) -> None:
        """Records that a batch has ended."""
        if batch.items:
            self.slowness.observe(batch.expected_ms, took_ms)
            self._follower.observe(self._position, now - self._oldest)
