"""Which subnet answers how many of the waiting images."""

import math
from bisect import bisect_left
from typing import List, NamedTuple, Optional, Sequence, Tuple

from ..checks import check_number
from .latency_grid import LatencyGrid


class Choice(NamedTuple):
    """A decision about the waiting images, oldest first.

    Attributes:
        late: so many are refused: they cannot be in time any more, or only at
            the cost of more others.
        subnet: the index of the subnet that runs.
        size: how many images it runs for, after those that are refused; 0 if
            none is left.
    """
    late: int
    subnet: int
    size: int


class Pace(NamedTuple):
    """What a policy takes from observations.

    Attributes:
        level: how much slower batches are than the grid's latencies.
        spread: by so much of its latency a batch may exceed that.
        rate: images that arrive in a millisecond.
        together: so many times their mean is the variance of arrivals.
        margin: plans end so much earlier than they have to, as a share of the
            objective.
        slack: milliseconds that an image usually has left when it comes into
            the queue; at most the objective.
        gap: milliseconds from the end of a batch to the beginning of the next.
    """
    level: float = 1.
    spread: float = 0.
    rate: float = 0.
    margin: float = 0.
    slack: float = math.inf
    gap: float = 0.
    together: float = 1.


class SlackPolicy:
    """Chooses subnet and batch size by the time that waiting images have left.

    All times are in milliseconds, and all images have the same objective. It
    has neither clock nor memory: equal arguments give equal answers.

    A plan answers one batch with a subnet, and all other images that wait or
    are expected to arrive with the next faster one. The policy takes the most
    accurate subnet whose plan keeps every deadline, so that under steady
    traffic two neighbours take turns. Neighbours are those of
    :meth:`.LatencyGrid.frontier`: a subnet between them would be no better than
    both by turns. Whatever it takes, the images that it leaves waiting can
    still be answered in time by the fastest subnet; so every image that was
    admitted stays in time as long as latencies are as expected.

    Images of one request have one deadline, and are answered when the last of
    them is. So a batch ends with a request, unless one alone is too large.

    Args:
        grid: latencies and accuracies.
        slo_ms: the objective: an image is answered so long after it arrived.

    Raises:
        InputError: for an objective that is not a number above 0.
    """

    LONGEST = 0.75  # batch, times the objective; the fastest subnet's may be 1
    HORIZON = 3  # how far a plan looks ahead, times the objective
    BURST = 0.5  # more arrivals than the mean, in standard deviations
    WORTH = 0.95  # of the images a second of the best batch

    def __init__(self, grid: LatencyGrid, slo_ms: float) -> None:
        self.grid = grid
        self.slo_ms = check_number('slo_ms', slo_ms, above=0)
        self._sizes = [
            grid.useful_sizes(i, slo_ms * self.LONGEST) for i in range(grid.num)
        ]
        # without the most accurate one, the two most accurate ones, ...
        self._frontiers = [
            grid.frontier(grid.order[first:], slo_ms)
            for first in range(len(grid.order))
        ]
        self._all_sizes = grid.useful_sizes(grid.fastest, slo_ms)
        # up to which a batch grows so as not to split a request
        self._most = [
            grid.largest_within(
                i, slo_ms * (1 if i == grid.fastest else self.LONGEST))
            for i in range(grid.num)
        ]

    def choose(self, now: float, deadlines: Sequence[float],
               pace: Pace) -> Choice:
        """Decides what runs now.

        Args:
            now: the time; nothing else is running.
            deadlines: of the waiting images, rising.
            pace: what was observed.
        """
        late = 0
        for end in _ends(deadlines):
            single = self._took(self.grid.fastest,
                                min(end - late, self._most[self.grid.fastest]),
                                pace)
            if now + single <= deadlines[late]:
                break
            late = end
        left = deadlines[late:]
        if not left:
            return Choice(late, self.grid.fastest, 0)
        ends = _ends(left)
        subnets = self._frontier(pace)
        for subnet, after in zip(subnets, [*subnets[1:], subnets[-1]]):
            for size in self._candidates(subnet, ends):
                if self._keeps_all(subnet, size, after, now, left, ends,
                                   pace) and \
                        self._leaves_enough(subnet, size, now, left, pace):
                    return Choice(late, subnet, size)
        more, size = 0, self._fast_size(now, left, pace, 0, ends)
        if self._is_behind(now, left, pace):
            more, size = self._most_in_time(now, left, pace)
        return Choice(late + more, self.grid.fastest, size)

    def wait_ms(self,
                now: float,
                free_at: float,
                deadlines: Sequence[float],
                pace: Pace,
                count: int = 1) -> Optional[float]:
        """Decides whether images that arrive now are admitted.

        Args:
            now: when they arrive.
            free_at: when the running batch ends, as expected.
            deadlines: of the images that wait already, rising.
            pace: what was observed.
            count: how many arrive, as one request: all are admitted, or none.

        Returns:
            ``None`` if they are admitted: the fastest subnet can answer them
            in time, and makes no earlier one late. Otherwise after how long
            the same request would be, if nothing else arrived; infinity if it
            cannot be answered in time even alone.
        """
        start = max(now, free_at)
        own = count * [now + self.slo_ms]
        both = [*deadlines, *own]
        if self._fast_end(both, start, pace, len(deadlines)) is not None:
            return None
        if self._is_behind(start, deadlines, pace) and \
                self._whole_batches(both, start, pace)[1] < len(deadlines):
            return None  # others will be late with or without them
        alone = self._fast_end(own, now, pace)
        if alone is None:
            return math.inf
        end = start + self._drain(len(deadlines), pace)
        return max(end + (alone - now) - now - self.slo_ms, 1.)

    def _took(self, subnet: int, size: int, pace: Pace) -> float:
        """How long a batch takes, until the next one may begin."""
        return self.grid.latencies_ms[subnet][size] * pace.level + pace.gap

    def _frontier(self, pace: Pace) -> List[int]:
        """The subnets to choose from, the most accurate first: those that can
        answer an image that does not have to wait."""
        most = min(pace.slack, self.slo_ms) - pace.margin * self.slo_ms
        slower = pace.level * (1 + pace.spread)
        for subnets in self._frontiers:
            if self.grid.latencies_ms[subnets[0]][1] * slower <= most:
                return subnets
        return self._frontiers[-1]

    def _candidates(self, subnet: int, ends: Sequence[int]) -> List[int]:
        """Batch sizes to try, largest first. Those that take longer an image
        are not worth the time, however soon they would be done."""
        row = self.grid.latencies_ms[subnet]
        sizes = sorted(
            {
                _whole(size, 0, ends, self._most[subnet])
                for size in self._sizes[subnet] if size <= ends[-1]
            },
            reverse=True)
        most = min(row[size] / size for size in sizes) / self.WORTH
        return [size for size in sizes if row[size] / size <= most]

    def _keeps_all(self, subnet: int, size: int, after: int, now: float,
                   deadlines: Sequence[float], ends: Sequence[int],
                   pace: Pace) -> bool:
        """Whether a plan keeps every deadline: a batch of a size with a subnet,
        then as many as wait each time with another."""
        variance = 0.
        waiting, first = len(deadlines), 0  # first: index of the oldest
        time, horizon = now, now + self.HORIZON * self.slo_ms
        margin = pace.margin * self.slo_ms
        while True:
            latency = self._took(subnet, size, pace)
            time += latency
            variance += (pace.spread * latency)**2
            if time + math.sqrt(variance) + margin > self._deadline(
                    first, now, deadlines, pace):
                return False
            first += size
            subnet = after
            # known ones, and those that arrive meanwhile
            arrived = waiting + self._arrivals((time - now) * pace.rate, pace)
            if time > horizon:
                return True
            if arrived <= first:
                if pace.rate <= 0:
                    return True
                time = max(
                    time,
                    now + self._mean(first - waiting + 1, pace) / pace.rate)
                variance = 0.
                if time > horizon:
                    return True
                arrived = first + 1
            size = _whole(
                _at_most(self._sizes[subnet], arrived - first), first, ends,
                self._most[subnet])

    def _deadline(self, index: int, now: float, deadlines: Sequence[float],
                  pace: Pace) -> float:
        """Of a waiting image, or of one expected to arrive."""
        if index < len(deadlines):
            return deadlines[index]
        mean = self._mean(index - len(deadlines) + 1, pace)
        return now + mean / pace.rate + self.slo_ms

    def _arrivals(self, mean: float, pace: Pace) -> int:
        """How many arrivals a plan expects where there are so many in the
        mean; :meth:`_mean` is its inverse."""
        burst = self.BURST * math.sqrt(pace.together)
        return int(mean + burst * math.sqrt(mean) + 1e-9)

    def _mean(self, count: int, pace: Pace) -> float:
        burst = self.BURST * math.sqrt(pace.together)
        return ((math.sqrt(burst**2 + 4 * count) - burst) / 2)**2

    def _leaves_enough(self, subnet: int, size: int, now: float,
                       deadlines: Sequence[float], pace: Pace) -> bool:
        """Whether the fastest subnet can answer what a batch leaves."""
        if size == len(deadlines):
            return True
        end = now + self._took(subnet, size, pace)
        return self._fast_end(deadlines[size:], end, pace) is not None

    def _fast_end(self,
                  deadlines: Sequence[float],
                  start: float,
                  pace: Pace,
                  reserved: int = 0) -> Optional[float]:
        """When the fastest subnet has answered all images; ``None`` if one
        would be late, those from the index ``reserved`` on with a reserve."""
        time, first = start, 0
        variance = 0.
        ends = _ends(deadlines)
        while first < len(deadlines):
            size = self._fast_size(time, deadlines, pace, first, ends)
            latency = self._took(self.grid.fastest, size, pace)
            time += latency
            variance += (pace.spread * latency)**2
            if time > deadlines[first]:
                return None
            first += size
            if first > reserved and time + math.sqrt(variance) > deadlines[max(
                    first - size, reserved)]:
                return None
        return time

    def _is_behind(self, now: float, deadlines: Sequence[float],
                   pace: Pace) -> bool:
        """Whether an image will be late although the fastest subnet runs."""
        return self._fast_end(deadlines, now, pace._replace(spread=0.)) is None

    def _most_in_time(self, now: float, deadlines: Sequence[float],
                      pace: Pace) -> Tuple[int, int]:
        """How many of the oldest images are refused and how many run on the
        fastest subnet, so that the most are in time: a small batch for the
        oldest ones may take the time of many others. The first one can be in
        time alone."""
        found = []
        ends = _ends(deadlines)
        for least in reversed(self._all_sizes):
            size = self._fast_whole(least, 0, ends)
            end = now + self._took(self.grid.fastest, size,
                                   pace) * (1 + pace.spread)
            late = bisect_left(deadlines, end) if least > 1 else 0
            if late + least <= len(deadlines):
                size = self._fast_whole(least, late, ends)
                later, _ = self._whole_batches(deadlines[late + size:], end,
                                               pace)
                found.append((late + later, late, size))
                if not late + later:
                    break
        _, late, size = min(found, key=lambda one: one[0])
        return late, size

    def _whole_batches(self, deadlines: Sequence[float], start: float,
                       pace: Pace) -> Tuple[int, int]:
        """How many images are late if the fastest subnet answers as many at a
        time as it can, and the index of the last one of these, -1 for none.
        They are refused before their batch."""
        time, first = start, 0
        count, last = 0, -1
        variance = 0.
        ends = _ends(deadlines)
        while first < len(deadlines):
            size = self._fast_whole(
                _at_most(self._all_sizes,
                         len(deadlines) - first), first, ends)
            latency = self._took(self.grid.fastest, size, pace)
            reserve = math.sqrt(variance + (pace.spread * latency)**2)
            late = bisect_left(deadlines, time + latency + reserve,
                               first) - first
            if late:
                count, last = count + late, first + late - 1
                first += late
                continue
            time += latency
            variance += (pace.spread * latency)**2
            first += size
        return count, last

    def _fast_size(self, now: float, deadlines: Sequence[float], pace: Pace,
                   first: int, ends: Sequence[int]) -> int:
        """The largest useful batch of the fastest subnet, from an image on,
        that keeps its deadline; the smallest if none does."""
        size = 1
        for least in reversed(self._all_sizes):
            if first + least > len(deadlines):
                continue
            size = self._fast_whole(least, first, ends)
            if now + self._took(self.grid.fastest, size,
                                pace) * (1 + pace.spread) <= deadlines[first]:
                break
        return size

    def _fast_whole(self, size: int, first: int, ends: Sequence[int]) -> int:
        """A batch of the fastest subnet, see :func:`_whole`."""
        return _whole(size, first, ends, self._most[self.grid.fastest])

    def _drain(self, waiting: int, pace: Pace) -> float:
        """How long the fastest subnet takes for some images."""
        size = self._sizes[self.grid.fastest][-1]
        batches, rest = divmod(waiting, size)
        return batches * self._took(self.grid.fastest, size, pace) + (
            self._took(self.grid.fastest, rest, pace) if rest else 0.)


def _at_most(sizes: Tuple[int, ...], number: int) -> int:
    """The largest of rising sizes, the first of which is 1, up to a number."""
    for size in reversed(sizes):
        if size <= number:
            return size
    return 1


def _ends(deadlines: Sequence[float]) -> List[int]:
    """Behind the last image of each request: the same deadline is the same
    request."""
    return [
        i for i in range(1,
                         len(deadlines) + 1)
        if i == len(deadlines) or deadlines[i] != deadlines[i - 1]
    ]


def _whole(size: int, first: int, ends: Sequence[int], most: int) -> int:
    """About so many images, so that the last request is whole.

    Args:
        size: it grows to the end of a request or, where that would be more than
            the most, shrinks to the end of the one before. If there is none it
            stays, and splits the request.
        first: index of its first image.
        ends: of the requests, see :func:`_ends`; behind the last one it stays.
        most: images.
    """
    k = bisect_left(ends, first + size)
    if k == len(ends):
        return size
    if ends[k] - first <= most:
        return ends[k] - first
    if k and ends[k - 1] > first:
        return ends[k - 1] - first
    return size
