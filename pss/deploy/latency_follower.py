"""Meeting a latency target while the load varies."""

import math
import threading
from collections import deque
from typing import Deque, Sequence

from ..checks import check_integer, check_number, shown
from ..errors import InputError


class LatencyFollower:
    """Chooses the subnet that meets a latency target under the current load.

    Every request, whichever subnet answers it, shows how much slower the device
    is than it was without load: its *slowdown* is its latency divided by the
    subnet's typical one. The predicted latency of a subnet is its typical one
    times the slowdown that ``share`` of the recent requests did not exceed.

    Two slow requests in ten are enough to move to a faster subnet. Moving to a
    more accurate one takes ``patience`` requests with few slow ones among them,
    and a margin. If such a move turns out to be too early, the patience
    doubles, so that subnets do not alternate; with time it halves again.

    Args:
        target_ms: the latency to stay within, in milliseconds.
        typical_ms: latency of each subnet on the unloaded device.
        accuracies: accuracy of each subnet.
        share: of the requests that should stay within the target.
        margin: how far below the target the predicted latency of a more
            accurate subnet must be, as a share of the target.
        patience: requests between a move and the next one to a more accurate
            subnet.

    Attributes:
        position (int): index of the subnet to use now; at first, the most
            accurate one whose typical latency is within the target.
        moves (int): how often the position has changed.

    Raises:
        InputError: for a value that is not a number in its range, and unless
            there are as many accuracies as latencies, and at least one.
    """

    RECENT = 10  # requests that decide on a move to a faster subnet
    SETTLING = 5  # fewest requests between any two moves
    LONGEST = 16  # most that the patience grows to, times ``patience``

    def __init__(self,
                 target_ms: float,
                 typical_ms: Sequence[float],
                 accuracies: Sequence[float],
                 share: float = 0.9,
                 margin: float = 0.1,
                 patience: int = 40) -> None:
        self.target_ms = check_number('target_ms', target_ms, above=0)
        self.typical_ms = tuple(
            check_number(f'typical_ms[{i}]', value, above=0)
            for i, value in enumerate(typical_ms))
        self.accuracies = tuple(
            check_number(f'accuracies[{i}]', value)
            for i, value in enumerate(accuracies))
        if not self.accuracies or \
                len(self.accuracies) != len(self.typical_ms):
            raise InputError(f'accuracies={shown(self.accuracies)}: expected '
                             'at least one, and as many as typical_ms has '
                             f'({len(self.typical_ms)})')
        self.share = check_number('share', share, above=0, most=1)
        self.margin = check_number('margin', margin, least=0, below=1)
        self.patience = check_integer('patience', patience, 1, 1_000_000)
        self.moves = 0
        self.position = self._best(1.)
        self._waiting = patience
        self._since_move = 0
        self._moved_up = False
        self._slowdowns: Deque[float] = deque(maxlen=patience)
        self._lock = threading.Lock()

    def observe(self, position: int, latency_ms: float) -> int:
        """Records a request.

        Args:
            position: index of the subnet that answered it.
            latency_ms: how long it took, in milliseconds.

        Returns:
            The index of the subnet to use from now on.
        """
        with self._lock:
            self._slowdowns.append(latency_ms / self.typical_ms[position])
            self._since_move += 1
            if self._since_move >= self.SETTLING:
                self._consider()
            return self.position

    def _consider(self) -> None:
        """Moves to another subnet if the recent requests call for it."""
        seen = list(self._slowdowns)
        recent = self._reached(seen[-self.RECENT:])
        if self.typical_ms[self.position] * recent > self.target_ms:
            faster = self._best(recent)
            if self.typical_ms[faster] < self.typical_ms[self.position]:
                if self._moved_up and self._since_move < self._waiting:
                    self._waiting = min(2 * self._waiting,
                                        self.LONGEST * self.patience)
                self._move(faster, up=False)
        elif self._since_move >= self._waiting:
            better = self._best(self._reached(seen) / (1 - self.margin))
            if self.accuracies[better] > self.accuracies[self.position]:
                self._move(better, up=True)
            elif self._since_move >= 4 * self._waiting:
                self._waiting = max(self._waiting // 2, self.patience)
                self._since_move = self._waiting

    def _move(self, position: int, up: bool) -> None:
        self.position = position
        self.moves += 1
        self._since_move = 0
        self._moved_up = up

    def _best(self, slowdown: float) -> int:
        """The most accurate subnet within the target; else the fastest."""
        within = [
            i for i, typical in enumerate(self.typical_ms)
            if typical * slowdown <= self.target_ms
        ]
        if not within:
            return min(
                range(len(self.typical_ms)), key=self.typical_ms.__getitem__)
        return max(
            within, key=lambda i: (self.accuracies[i], -self.typical_ms[i]))

    def _reached(self, slowdowns: Sequence[float]) -> float:
        """The slowdown that ``share`` of the slowdowns do not exceed."""
        ordered = sorted(slowdowns)
        return ordered[math.ceil(self.share * len(ordered)) - 1]
