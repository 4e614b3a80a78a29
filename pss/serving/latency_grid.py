"""How long each subnet takes for each number of images."""

from bisect import bisect_right
from typing import List, Sequence, Tuple

from ..checks import check_number
from ..errors import InputError

GAIN = 1.03  # by which a larger batch has to raise the images a second


class LatencyGrid:
    """Latencies by subnet and batch size, without other load.

    Between the measured batch sizes they are interpolated.

    Args:
        sizes: the measured batch sizes, rising from 1.
        latencies_ms: of each subnet, at each of the sizes, in milliseconds.
        accuracies: of each subnet.

    Attributes:
        num (int): how many subnets.
        largest (int): the largest batch size.
        latencies_ms (list[list[float]]): of each subnet, for 0 to ``largest``
            images.
        accuracies (tuple[float]): of each subnet.
        order (list[int]): subnets that are worth running, the most accurate
            first: all others are as slow as a more accurate one.
        fastest (int): of these, the last.

    Raises:
        InputError: for sizes that do not rise from 1, and for a latency that is
            not a finite number above 0.
    """

    def __init__(self, sizes: Sequence[int],
                 latencies_ms: Sequence[Sequence[float]],
                 accuracies: Sequence[float]) -> None:
        sizes = tuple(sizes)
        if list(sizes) != sorted(set(sizes)) or sizes[:1] != (1, ):
            raise InputError(f'sizes={list(sizes)}: expected batch sizes that '
                             'rise from 1')
        if not 0 < len(accuracies) == len(latencies_ms):
            raise InputError(
                f'accuracies={list(accuracies)}: expected at least one, and as '
                f'many as latencies_ms has ({len(latencies_ms)})')
        for i, row in enumerate(latencies_ms):
            if len(row) != len(sizes):
                raise InputError(f'latencies_ms[{i}]: {len(row)} latencies; '
                                 f'expected one for each of {len(sizes)} sizes')
            for size, value in zip(sizes, row):
                check_number(
                    f'latencies_ms[{i}] of {size} images', value, above=0)
        self.sizes = sizes
        self.accuracies = tuple(
            check_number(f'accuracies[{i}]', value)
            for i, value in enumerate(accuracies))
        self.num = len(self.accuracies)
        self.largest = self.sizes[-1]
        self.latencies_ms = [
            _between(self.sizes, list(row)) for row in latencies_ms
        ]
        self.order = self._order()
        self.fastest = self.order[-1]

    def _order(self) -> List[int]:
        total = [sum(row) for row in self.latencies_ms]
        kept: List[int] = []
        for i in sorted(
                range(self.num), key=lambda i: (-self.accuracies[i], total[i])):
            if not kept or total[i] < total[kept[-1]]:
                kept.append(i)
        return kept

    def frontier(self, subnets: Sequence[int], slo_ms: float) -> List[int]:
        """Of some subnets, those that are worth running by turns.

        Any two subnets, by turns, have every mean accuracy between theirs at a
        mean time between theirs. A subnet is left out if two others reach its
        accuracy that way in less time: the rest lie on the upper convex hull of
        accuracy over time an image.

        Args:
            subnets: some of ``order``, in that order.
            slo_ms: the objective, see :meth:`capacity`.

        Returns:
            The most accurate first; the first and the last are those given.
        """
        seconds = {i: 1 / self.capacity(i, slo_ms) for i in subnets}

        def price(subnet: int, better: int) -> float:
            return (seconds[better] - seconds[subnet]) / (
                self.accuracies[better] - self.accuracies[subnet])

        found: List[int] = []
        for new in reversed(subnets):
            while len(found) > 1 and \
                    price(found[-2], found[-1]) > price(found[-1], new):
                found.pop()
            found.append(new)
        return found[::-1]

    def useful_sizes(self, subnet: int, most_ms: float) -> Tuple[int, ...]:
        """Batch sizes that raise the images a second, within a latency.

        A larger batch that takes as much longer as it is larger only makes its
        first images wait. At least 1 is always among them.

        Args:
            subnet: its index.
            most_ms: the longest latency of a batch.
        """
        row = self.latencies_ms[subnet]
        found = [1]
        for size in range(2, self.largest + 1):
            if row[size] <= most_ms and \
                    size / row[size] >= GAIN * found[-1] / row[found[-1]]:
                found.append(size)
        return tuple(found)

    def largest_within(self, subnet: int, most_ms: float) -> int:
        """The largest batch size within a latency; at least 1."""
        row = self.latencies_ms[subnet]
        return max(bisect_right(row, most_ms) - 1, 1)

    def capacity(self, subnet: int, slo_ms: float) -> float:
        """Images a second that a subnet answers if a batch takes at most half
        of the objective: one may have to wait for the batch before it."""
        row = self.latencies_ms[subnet]
        size = self.useful_sizes(subnet, slo_ms / 2)[-1]
        return 1e3 * size / row[size]


def _between(sizes: Tuple[int, ...], row: List[float]) -> List[float]:
    """Latencies for 0, 1, 2, ... images; never falling with the number."""
    found = [0.]
    for size in range(1, sizes[-1] + 1):
        k = next(k for k, known in enumerate(sizes) if known >= size)
        if sizes[k] == size:
            value = row[k]
        else:
            share = (size - sizes[k - 1]) / (sizes[k] - sizes[k - 1])
            value = row[k - 1] + share * (row[k] - row[k - 1])
        found.append(max(value, found[-1]))
    return found
