"""What a server observes while it runs: how slow it is, how much arrives."""

import math
from collections import deque
from heapq import nlargest
from statistics import NormalDist, median
from typing import Deque, Dict, NamedTuple, Sequence, Tuple

from ..checks import check_number
from .policy import Pace


class Slowness:
    """How much slower batches are than the measured latencies.

    The level is a median of the last few, so that single slow batches move
    nothing; the noise comes from the differences of successive ones, so that a
    change of the level is not taken for noise. Where slow batches are not rare,
    as on a machine that does other work too, the slowest tenth counts.

    Args:
        share: of the batches that should take at most what is expected with
            the reserve.

    Attributes:
        level (float): observed latencies divided by measured ones.
        noise (float): standard deviation of that ratio's logarithm.
        spread (float): by so much of its latency a batch may exceed the level:
            as many standard deviations as the share takes, and as all but a
            tenth of the last batches have exceeded it.
    """

    TAIL, MOST = 0.1, 0.5  # no reserve helps against batches that are rarer
    RECENT, KEPT = 7, 64  # batches: for the level, for the noise
    NOISE = 0.04  # until there are enough

    def __init__(self, share: float = 0.995) -> None:
        check_number('share', share, least=0.5, below=1)
        self._reserve = NormalDist().inv_cdf(share)
        self.level = 1.
        self.noise = self.NOISE
        self.spread = self._reserve * self.noise
        self._logs: Deque[float] = deque(maxlen=self.KEPT)
        self._beyond: Deque[float] = deque(maxlen=self.KEPT)

    def observe(self, expected_ms: float, observed_ms: float) -> None:
        """Records a batch.

        Args:
            expected_ms: what the grid has for it.
            observed_ms: what it took.
        """
        ratio = max(observed_ms, 1e-3) / expected_ms
        self._logs.append(math.log(ratio))
        self._beyond.append(ratio / self.level - 1)
        seen = list(self._logs)
        self.level = math.exp(median(seen[-self.RECENT:]))
        steps = [abs(a - b) for a, b in zip(seen[1:], seen)]
        if len(steps) >= self.RECENT:
            # the median of |a - b| is 0.6745 * sqrt(2) standard deviations
            self.noise = max(median(steps) / (0.6745 * math.sqrt(2)), 1e-4)
            beyond = sorted(self._beyond)[int(
                (1 - self.TAIL) * len(self._beyond))]
            self.spread = max(self._reserve * self.noise,
                              min(beyond, self.MOST))


class _Count(NamedTuple):
    """Of all arrivals so far: images, and the sum of the squares of the
    requests' images."""
    images: int
    squares: float


class ArrivalRate:
    """How many images arrive a millisecond.

    Of the last 4, 8, 16, ... requests it takes as many as do not contradict
    fewer of them: many while traffic is steady, few right after it changed.

    Args:
        kept: the most requests to look back.
        width: a rate contradicts another one beyond so many standard
            deviations.
    """

    def __init__(self, kept: int = 512, width: float = 2.) -> None:
        self.width = width
        # times, and what :meth:`observe` has counted before and with them
        self._seen: Deque[Tuple[float, _Count, _Count]] = deque(maxlen=kept)
        self._all = _Count(0, 0.)

    def observe(self, now: float, count: int = 1, requests: int = 1) -> None:
        """Records the arrival of some images, in one request or in several."""
        before = self._all
        self._all = _Count(before.images + count,
                           before.squares + count**2 / requests)
        self._seen.append((now, before, self._all))

    @property
    def together(self) -> float:
        """How many images arrive together with an image in the mean, itself
        included; the variance of arrivals is so many times their mean."""
        if not self._seen:
            return 1.
        _, before, _ = self._seen[0]
        return (self._all.squares - before.squares) / (
            self._all.images - before.images)

    def rate(self, now: float) -> float:
        """Images a millisecond at a time."""
        low, high, best = 0., math.inf, 0.
        number = 4
        while number <= len(self._seen):
            # from this arrival till now, so its own images do not count
            time, before, after = self._seen[-number]
            span = max(now - time, 1e-6)
            rate = (self._all.images - after.images) / span
            spread = self.width * math.sqrt(self._all.squares -
                                            before.squares) / span
            low, high = max(low, rate - spread), min(high, rate + spread)
            if low > high:
                break
            best = min(max(rate, low), high)
            number *= 2
        return best


class _Sums(NamedTuple):
    """Over all batches so far: how many, what the grid has for them, the sum of
    the squares of that, and what they took."""
    batches: int
    grid_ms: float
    squares: float
    took_ms: float

    def add(self, grid_ms: float, took_ms: float) -> '_Sums':
        """With one more."""
        return _Sums(self.batches + 1, self.grid_ms + grid_ms,
                     self.squares + grid_ms**2, self.took_ms + took_ms)


class Caution:
    """How much earlier than the objective plans have to end, so that what no
    estimate foresees does not make images late.

    Each image that was late or refused moves it up by a step, each other one
    down by so much less that it rests where the wanted share is in time.

    Args:
        share: of the images that should be in time.

    Attributes:
        margin (float): as a share of the objective.
    """

    STEP, MOST = 0.02, 0.7

    def __init__(self, share: float = 0.998) -> None:
        check_number('share', share, least=0.5, below=1)
        self._down = self.STEP * (1 - share) / share
        self.margin = 0.

    def observe(self, is_in_time: bool) -> None:
        """Records what became of an image."""
        self.margin = max(self.margin - self._down, 0.) if is_in_time else \
            min(self.margin + self.STEP, self.MOST)


def backlog_ms(busy: float,
               each_ms: float,
               together: float = 1.,
               share: float = 1 / 3000) -> float:
    """How much work waits for something that is busy with what arrives at
    random, except for a share of the time; infinity if more arrives than it
    can do.

    Under heavy traffic what waits falls off exponentially (Kingman 1961).

    Args:
        busy: the share of the time that the work takes.
        each_ms: that an image takes.
        together: the variance of arrivals, as so many times their mean.
        share: of the time when more work waits.
    """
    if busy >= 1:
        return math.inf
    mean = together * busy * each_ms / (2 * (1 - busy))
    return mean * math.log(1 / share)


class Hindsight:
    """How much earlier than the objective plans should have ended, by how long
    the batches took together that were run after them.

    A plan foresees that batches vary independently of each other, so together
    they vary less. Where something else makes all of them slow for a moment,
    they exceed that; on a machine that does nothing else this comes to nothing.

    Args:
        slo_ms: the objective.
        share: of the plans that should have been kept.

    Attributes:
        margin (float): as a share of the objective.
    """

    KEPT, ENOUGH, MOST = 512, 8, 0.4  # plans, of which some are needed; margin

    def __init__(self, slo_ms: float, share: float = 0.98) -> None:
        check_number('share', share, least=0.5, below=1)
        self.slo_ms = slo_ms
        self.share = share
        self.margin = 0.
        self._all = _Sums(0, 0., 0., 0.)
        # plans whose batches have not all ended: what was before them, and what
        # they expected
        self._plans: Deque[Tuple[_Sums, Pace]] = deque()
        self._beyond: Deque[float] = deque(maxlen=self.KEPT)

    def observe(self, pace: Pace, expected_ms: float,
                observed_ms: float) -> None:
        """Records a batch.

        Args:
            pace: what was expected when it began.
            expected_ms: what the grid has for it.
            observed_ms: what it took, and what passed before it since another
                one had ended.
        """
        self._plans.append((self._all, pace))
        self._all = self._all.add(expected_ms, observed_ms)
        while self._plans:
            before, then = self._plans[0]
            batches, grid, squares, took = (
                now - past for now, past in zip(self._all, before))
            planned = then.level * grid + batches * then.gap
            if planned < self.slo_ms:
                break
            reserve = then.spread * then.level * math.sqrt(max(squares, 0.))
            self._beyond.append((took - planned - reserve) / self.slo_ms)
            self._plans.popleft()
        if len(self._beyond) >= self.ENOUGH:
            longest = nlargest(
                len(self._beyond) - int(self.share * len(self._beyond)),
                self._beyond)[-1]
            self.margin = min(max(longest, 0.), self.MOST)


class Overhead:
    """How long answers take besides queue and network.

    Args:
        slo_ms: the objective.
        share: of the last answers that the reserve is enough for.
    """

    ANSWERS, LAGS = 512, 128  # kept
    KEPT_MS = 3e4  # answers; for without new ones nothing would correct them

    def __init__(self, slo_ms: float, share: float = 0.995) -> None:
        self.slo_ms = slo_ms
        self.share = share
        self._times: Deque[float] = deque(maxlen=self.ANSWERS)
        self._after: Deque[float] = deque(maxlen=self.ANSWERS)
        self._lags: Deque[float] = deque(maxlen=self.LAGS)

    def observe(self, now: float, total_ms: float,
                results: Sequence[Dict]) -> None:
        """Records an answer.

        Args:
            now: the time, in milliseconds.
            total_ms: that it took.
            results: of its images, with ``queue_ms`` and ``network_ms``.
        """
        last = max(r['queue_ms'] + r['network_ms'] for r in results)
        self._times.append(now)
        self._after.append(max(total_ms - last, 0.))

    def observe_lag(self, lag_ms: float, times: int = 1) -> None:
        """Records how late the process did something: as late it reads requests
        that have arrived, and nothing else tells.

        Args:
            lag_ms: by so much.
            times: that it counts, where it is measured less often.
        """
        self._lags.extend(times * [lag_ms])

    def reserve_ms(self, now: float) -> float:
        """How much earlier than the objective the networks have to end, at a
        time; at most a third of it."""
        while self._times and now - self._times[0] > self.KEPT_MS:
            self._times.popleft()
            self._after.popleft()
        longest = sum(
            nlargest(len(seen) - int(self.share * len(seen)), seen)[-1]
            for seen in (self._after, self._lags) if seen)
        return min(longest, self.slo_ms / 3)

    @property
    def usual_lag_ms(self) -> float:
        """How late the process is, by the median of the last second or so."""
        return median(self._lags) if self._lags else 0.
