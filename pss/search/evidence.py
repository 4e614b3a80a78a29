"""Which held-out images subnets get right, and what that says of them."""

from typing import Dict, List, NamedTuple, Sequence, Set

import numpy as np

from ..structures import SearchSpace, Subnet

# How easy an image is counts as if so many further subnets had found it of mean
# difficulty; about how much more of the outcome is chance than image.
SHRINKAGE = 0.5
STEPS = 12


def standard_error(accuracy: float, images: int) -> float:
    """The standard error, in points, of an accuracy in percent on so many
    images.

    Half an image right and half one wrong are added, so that all right does
    not look certain.
    """
    share = (accuracy / 100 * images + 0.5) / (images + 1)
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

    Each subnet was measured on some of the first images, which may be easier or
    harder than the rest. So whether a subnet gets an image right is taken apart
    into its accuracy, how easy the image is, and chance. Images are as easy as
    all subnets that saw them say, shrunk towards the mean where these are few.
    Subnets are then compared as if on the same images, and the error of an
    accuracy is only what chance leaves: what makes images easy or hard for all
    does not matter for their order.

    Args:
        space: the space of the subnets.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
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
        subnets, hits = list(self._hits), list(self._hits.values())
        images = np.array([len(row) for row in hits])
        share = np.array([row.mean() for row in hits])
        seen = np.zeros(images.max())
        for num in images:
            seen[:num] += 1
        ease = np.zeros(len(seen))
        accuracy = share
        # the errors of both shrink by half or more in each step
        for _ in range(STEPS):
            left = np.zeros(len(seen))
            for row, mean in zip(hits, accuracy):
                left[:len(row)] += row - mean
            ease = left / (seen + SHRINKAGE)
            ease -= ease.mean()
            sums = np.concatenate([[0.], np.cumsum(ease)])
            accuracy = share - sums[images] / images
        chance = np.array([np.var(row - ease[:len(row)]) for row in hits])
        # a subnet that gets all of few images right is not certain to
        chance += 0.25 / images
        final = np.array([s in self._final for s in subnets])
        return Measured(subnets, self._space.encode(subnets), images, final,
                        100 * accuracy, 100 * np.sqrt(chance / images))
