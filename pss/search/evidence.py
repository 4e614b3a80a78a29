"""Which held-out images subnets get right, and what that says of them."""

from typing import Dict, List, NamedTuple, Sequence, Set

import numpy as np

from ..structures import SearchSpace, Subnet


def standard_error(accuracy: float, images: int) -> float:
    """The standard error, in points, of an accuracy in percent on so many
    images."""
    share = accuracy / 100
    return float(100 * np.sqrt(share * (1 - share) / images))


class Measured(NamedTuple):
    """Subnets and their measured accuracies.

    Attributes:
        subnets: ``N`` of them.
        codes: theirs, ``(N, 1 + K)``.
        images: how many images each was measured on, ``(N, )``.
        final: whether the measurement was final, bool ``(N, )``.
        accuracy: in percent, ``(N, )``; as if on all images, see
            :class:`Evidence`.
        error: standard errors of these, ``(N, )``.
    """
    subnets: List[Subnet]
    codes: np.ndarray
    images: np.ndarray
    final: np.ndarray
    accuracy: np.ndarray
    error: np.ndarray


class Evidence:
    """What was measured, on images in one order for all subnets.

    Each subnet was measured on some of the first images. Those may be easier or
    harder than the rest: how much of that a subnet would notice is known from
    the reference, which was measured on all (a control variate). What is left
    of the error is what subnets differ by, so subnets that were measured on
    different numbers of images are compared as if on the same.

    Args:
        space: the space of the subnets.
        reference: whether some subnets get each image right, bool ``(subnets,
            images)``.
    """

    def __init__(self, space: SearchSpace, reference: np.ndarray) -> None:
        self._space = space
        self._easy = reference.mean(0)
        self._hits: Dict[Subnet, np.ndarray] = {}
        self._final: Set[Subnet] = set()

    def images(self, subnet: Subnet) -> int:
        """How many images a subnet was measured on."""
        return len(self._hits.get(subnet, ()))

    def add(self,
            subnets: Sequence[Subnet],
            hits: np.ndarray,
            final: bool = False) -> None:
        """Adds measurements, in place of what these subnets had.

        Args:
            subnets: the subnets.
            hits: which of the first images they get right, bool ``(subnets,
                images)``.
            final: whether these are final measurements.
        """
        self._hits.update(zip(subnets, hits))
        if final:
            self._final.update(subnets)

    def measured(self) -> Measured:
        """All subnets, in the order in which they were first measured."""
        subnets = list(self._hits)
        images = np.array([len(hits) for hits in self._hits.values()])
        share = np.array([hits.mean() for hits in self._hits.values()])
        ease = self._easy.mean()
        # one regression coefficient for all: how much more often an image is
        # got right that the reference gets right
        together, alone = 0., 0.
        for hits, mean in zip(self._hits.values(), share):
            easy = self._easy[:len(hits)] - self._easy[:len(hits)].mean()
            together += float(easy @ (hits - mean))
            alone += float(easy @ easy)
        slope = together / alone if alone else 0.
        variance = np.array([
            np.var(hits - slope * self._easy[:len(hits)])
            for hits in self._hits.values()
        ])
        lucky = np.array([self._easy[:n].mean() - ease for n in images]) * slope
        # a subnet that gets all of few images right is not certain to
        variance += 0.25 / images
        final = np.array([s in self._final for s in subnets])
        return Measured(subnets, self._space.encode(subnets), images, final,
                        100 * (share - lucky), 100 * np.sqrt(variance / images))
