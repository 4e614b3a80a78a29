"""Choosing the best subnet for every budget on few held-out images."""

from typing import Callable, List, NamedTuple, Sequence, Tuple

import numpy as np

from ..checks import check_integer, check_number
from ..errors import InputError
from ..structures import Budget, SearchSpace, Subnet
from .evidence import Evidence, Measured
from .surrogate import Prediction, Surrogate

# An accuracy on fewer images has a standard error above 5 points, more than
# the subnets of a level differ by.
LEAST_IMAGES = 100
# Candidates are measured on no fewer, if there are as many: to calibrate one
# costs about as much.
FIRST_IMAGES = 500
# How many draws of a level the surrogate proposes from.
DRAWS = 512
# Proposals have the highest mean plus so many standard deviations.
OPTIMISM = 0.5

# Whether subnets get the first images right: of the subnets, the number of
# images and whether this is the final measurement, bool (subnets, images).
Evaluate = Callable[[Sequence[Subnet], int, bool], np.ndarray]


class Level(NamedTuple):
    """A budget, and where its candidates come from.

    Attributes:
        budget: the budget.
        known: subnets of it to begin with, the most promising first.
        draw: draws so many subnets of it, which may repeat.
    """
    budget: Budget
    known: Sequence[Subnet]
    draw: Callable[[np.random.Generator, int], List[Subnet]]


class SubnetSearch:
    """Successive halving over all levels at once, guided by a surrogate.

    1. Of each level some candidates, known and drawn ones, are measured on a
       few images.
    2. A surrogate is fitted to all levels' subnets, and proposes more of each
       level, those that could be the best, which are measured on the same
       images; twice.
    3. The most promising of each level are measured on three times as many
       images, the finalists among these on all, and the winner once more with
       the statistics that it would be kept with.
    4. For every budget the winner of the highest expected accuracy that fits is
       kept, of whichever level, see :func:`.keep`.

    What a subnet is expected to reach is its measured accuracy, shrunk towards
    that of similar ones (:class:`.Surrogate`): the best of many is never taken
    at its word.

    Args:
        candidates: subnets of each level that are measured at all.
        finalists: subnets of each level that are measured on all images; twice
            as many are promising.
        share: of the held-out images that candidates are measured on first.

    Raises:
        InputError: for an impossible value.
    """

    def __init__(self,
                 candidates: int = 16,
                 finalists: int = 2,
                 share: float = 0.125) -> None:
        check_integer('test_cfg.search.candidates', candidates, 1, 100_000)
        check_integer('test_cfg.search.finalists', finalists, 1, candidates)
        check_number('test_cfg.search.share', share, above=0, most=1)
        self.candidates = candidates
        self.finalists = finalists
        self.share = share

    def planned(self, levels: int, images: int) -> int:
        """About how many images a search runs, summed over subnets."""
        few, more = self._stages(images)
        return 2 * images + levels * (
            self.candidates * few + self._promising *
            (more - few) + self.finalists * (images - more) + images)

    @property
    def _promising(self) -> int:
        """Subnets of each level that are measured on more images."""
        return min(2 * self.finalists, self.candidates)

    def _stages(self, images: int) -> Tuple[int, int]:
        """On how many images candidates are measured first, and how many the
        promising ones."""
        few = min(max(round(self.share * images), FIRST_IMAGES), images)
        return few, min(3 * few, images)

    def run(self, space: SearchSpace, levels: Sequence[Level], images: int,
            evaluate: Evaluate, seed: int) -> Tuple[Measured, Prediction]:
        """Searches.

        Args:
            space: the space of the subnets.
            levels: the budgets and their candidates.
            images: how many held-out images there are.
            evaluate: measures subnets.
            seed: of all draws; equal seeds and measurements give equal
                results.

        Returns:
            All measured subnets, and what is expected of them. The finally
            measured, the ends of the space among them, are to choose from.

        Raises:
            InputError: if there are too few images.
        """
        check_images(images)
        rng = np.random.default_rng(seed)
        ends = list(dict.fromkeys([space.largest, space.smallest]))
        evidence = Evidence(space)
        evidence.add(ends, evaluate(ends, images, True), True)
        few, more = self._stages(images)

        def measure(members: List[List[Subnet]],
                    size: int,
                    final: bool = False) -> None:
            subnets = [
                s for s in dict.fromkeys(s for mine in members for s in mine)
                if final or evidence.images(s) < size
            ]
            if subnets:
                evidence.add(subnets, evaluate(subnets, size, final), final)

        first, *later = _parts(self.candidates)
        members = [_begin(level, rng, first) for level in levels]
        measure(members, few)
        for num in later:
            surrogate = surrogate_of(space, evidence.measured())
            for level, mine in zip(levels, members):
                mine += _propose(space, surrogate, level, mine, rng, num)
            measure(members, few)
        for num, size, final in ((self._promising, more, False),
                                 (self.finalists, images, False), (1, images,
                                                                   True)):
            measured = evidence.measured()
            expected = dict(
                zip(measured.subnets,
                    surrogate_of(space, measured).measured().mean))
            members = [
                sorted(mine, key=lambda s: -expected[s])[:num]
                for mine in members
            ]
            measure(members, size, final)
        measured = evidence.measured()
        return measured, surrogate_of(space, measured).measured()


def check_images(images: int) -> None:
    """Checks that there are enough held-out images.

    Raises:
        InputError: if not; it says how many are needed.
    """
    if images < LEAST_IMAGES:
        raise InputError(
            f'test_cfg.selection_dataloader: {images} held-out images cannot '
            f'rank subnets; expected at least {LEAST_IMAGES}, or '
            'test_cfg.search=None')


def surrogate_of(space: SearchSpace, measured: Measured) -> Surrogate:
    """The surrogate that was fitted to measurements."""
    return Surrogate(space, measured.codes, measured.accuracy, measured.error)


def _parts(candidates: int) -> List[int]:
    """Candidates that are measured before there is a surrogate, and then after
    each time that it was fitted: one half and two quarters."""
    quarter = candidates // 4
    return [candidates - 2 * quarter, *[quarter] * 2 * (quarter > 0)]


def _begin(level: Level, rng: np.random.Generator, num: int) -> List[Subnet]:
    """The first candidates of a level: up to half of them known."""
    known = list(dict.fromkeys(level.known))
    drawn = [s for s in level.draw(rng, 8 * num) if s not in known]
    begin = list(dict.fromkeys([*known[:(num + 1) // 2], *drawn]))[:num]
    return begin or known[:1]


def _propose(space: SearchSpace, surrogate: Surrogate, level: Level,
             members: List[Subnet], rng: np.random.Generator,
             num: int) -> List[Subnet]:
    """New candidates of a level, of its known and many drawn subnets: those
    that could be the best, by mean and standard deviation."""
    more = dict.fromkeys([*level.known, *level.draw(rng, DRAWS)])
    left = [s for s in more if s not in set(members)]
    if not left:
        return []
    expected = surrogate.predict(space.encode(left))
    hope = expected.mean + OPTIMISM * expected.std
    return [left[i] for i in np.argsort(-hope, kind='stable')[:num]]
