"""Meeting a latency target while the load varies."""

import math
import threading
from collections import deque
from statistics import NormalDist, median
from typing import Deque, Dict, List, NamedTuple, Sequence

from .errors import InputError, integer, number, shown


class _Hold(NamedTuple):
    """A subnet that was too slow: until the load is lower, or so many requests
    have passed, it is not tried again."""
    level: float  # of the load then
    until: int
    wait: int


class LatencyFollower:
    """Chooses the subnet that meets a latency target under the current load.

    Every request, whichever subnet answers it, shows how much slower the device
    is than it was without load: its *slowdown* is its latency divided by the
    subnet's typical one. Two figures of the recent slowdowns' logarithms decide
    which subnets fit: their level, a median, so that one slow request is
    ignored; and their noise, from the differences of successive ones, so that a
    change of the load is not taken for noise. A subnet fits if ``share`` of its
    requests would be in time at that level and noise.

    It moves to a faster subnet once two of three requests are late, or sooner
    if the level of five announces it; and to a more accurate one once all but
    one of six requests would have been in time with it. One that turned out
    to be too slow is tried again when the load is lower, or after ``patience``
    requests, twice as many each time.

    Args:
        target_ms: the latency to stay within, in milliseconds.
        typical_ms: latency of each subnet on the unloaded device.
        accuracies: accuracy of each subnet.
        share: of the requests that should stay within the target.
        patience: requests before a subnet that was too slow is tried again
            under the same load.

    Attributes:
        position (int): index of the subnet to use now; at first, the most
            accurate one whose typical latency is within the target.
        moves (int): how often the position has changed.

    Raises:
        InputError: for a value that is not a number in its range, and unless
            there are as many accuracies as latencies, and at least one.
    """

    JUMP, STEADY, CALM = 3, 5, 6  # requests that moves are decided by
    KEPT = 32  # that the noise is estimated from
    NOISE = 0.03  # until there are enough
    RELIEF = 4.  # fall of the level, in units of its noise, that ends a hold
    LONGEST = 16  # most that the patience grows to, times ``patience``

    def __init__(self,
                 target_ms: float,
                 typical_ms: Sequence[float],
                 accuracies: Sequence[float],
                 share: float = 0.95,
                 patience: int = 40) -> None:
        self.target_ms = number('target_ms', target_ms, above=0)
        self.typical_ms = tuple(
            number(f'typical_ms[{i}]', value, above=0)
            for i, value in enumerate(typical_ms))
        self.accuracies = tuple(
            number(f'accuracies[{i}]', value)
            for i, value in enumerate(accuracies))
        if not 0 < len(self.accuracies) == len(self.typical_ms):
            raise InputError(
                f'accuracies={shown(self.accuracies)}: expected at '
                'least one, and as many as typical_ms has '
                f'({len(self.typical_ms)})')
        self.share = number('share', share, least=0.5, below=1)
        self.patience = integer('patience', patience)
        self._quantile = NormalDist().inv_cdf(self.share)
        # how far the logarithm of the slowdown may rise, for each subnet
        self._rooms = [
            math.log(self.target_ms / typical) for typical in self.typical_ms
        ]
        self.moves = 0
        self.position = self._best(0.)
        self._slowdowns: Deque[float] = deque(maxlen=self.KEPT)
        self._seen = 0
        self._moved = 0  # how many requests had been seen at the last move
        self._holds: Dict[int, _Hold] = {}
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
            self._slowdowns.append(
                math.log(latency_ms / self.typical_ms[position]))
            self._seen += 1
            if len(self._slowdowns) >= self.JUMP and not self._move_down():
                self._move_up()
            return self.position

    def _move_down(self) -> bool:
        """Moves to a faster subnet if requests are late, or about to be."""
        seen = list(self._slowdowns)
        room = self._rooms[self.position]
        reserve = self._quantile * self._noise(seen)
        level = median(seen[-self.STEADY:])
        if median(seen[-self.JUMP:]) > room:
            level = max(level, median(seen[-self.JUMP:]))
        elif level + reserve / 2 <= room or \
                self._seen - self._moved < self.STEADY:
            return False
        faster = self._best(level + reserve)
        if self._rooms[faster] <= room:
            return False
        held = self._holds.get(self.position)
        wait = self.patience if held is None else \
            min(2 * held.wait, self.LONGEST * self.patience)
        self._holds[self.position] = _Hold(level, self._seen + wait, wait)
        self._move(faster)
        return True

    def _move_up(self) -> None:
        """Moves to a more accurate subnet if recent requests would have been in
        time with it."""
        recent = list(self._slowdowns)[-self.CALM:]
        if len(recent) < self.CALM or self._seen - self._moved < self.CALM - 1:
            return
        noise = self._noise(list(self._slowdowns))
        level = median(recent)
        needed = max(sorted(recent)[-2], level + self._quantile * noise)
        better = [
            i for i, room in enumerate(self._rooms)
            if room >= needed and self.accuracies[i] > self.accuracies[
                self.position] and not self._is_held(i, level, noise)
        ]
        if better:
            self._move(self._most_accurate(better))

    def _is_held(self, position: int, level: float, noise: float) -> bool:
        held = self._holds.get(position)
        return held is not None and self._seen < held.until and \
            level > held.level - self.RELIEF * max(noise, 0.01)

    def _move(self, position: int) -> None:
        self.position = position
        self.moves += 1
        self._moved = self._seen

    def _best(self, level: float) -> int:
        """The most accurate subnet that is in time if the logarithm of the
        slowdown is ``level``; else the fastest."""
        within = [i for i, room in enumerate(self._rooms) if room >= level]
        if not within:
            return max(range(len(self._rooms)), key=self._rooms.__getitem__)
        return self._most_accurate(within)

    def _most_accurate(self, positions: List[int]) -> int:
        """Of equally accurate ones, the fastest."""
        return max(
            positions, key=lambda i: (self.accuracies[i], self._rooms[i]))

    def _noise(self, seen: List[float]) -> float:
        """The standard deviation of slowdowns' logarithms while the load is
        steady: from the median of successive differences, which jumps of the
        load hardly change."""
        steps = [abs(a - b) for a, b in zip(seen[1:], seen)]
        if len(steps) < self.JUMP + 1:
            return self.NOISE
        # the median of |a - b| is 0.6745 * sqrt(2) standard deviations
        return median(steps) / (0.6745 * math.sqrt(2))
