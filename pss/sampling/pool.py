"""The pool of one resource level."""

import math
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np

from ..structures import Budget, Subnet


class SubnetPool:
    """The best subnets found for one budget, with running scores (Sec. III-C).

    Args:
        budget: the resource level that the pool is for.
        capacity: most subnets that it keeps.
        momentum: share of the old score when a known subnet is scored again.
    """

    def __init__(self,
                 budget: Budget,
                 capacity: int = 50,
                 momentum: float = 0.9) -> None:
        self.budget = budget
        self.capacity = capacity
        self.momentum = momentum
        self._scores: Dict[Subnet, float] = {}  # oldest first
        self._newcomers = 0  # how many of the last are new since settle()

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def is_full(self) -> bool:
        """Whether it holds ``capacity`` subnets."""
        return len(self) >= self.capacity

    @property
    def scores(self) -> Dict[Subnet, float]:
        """The subnets and their scores, oldest first (a copy)."""
        return dict(self._scores)

    def update(self, subnet: Subnet, score: float) -> Optional[Subnet]:
        """Records a score, and drops the worst subnet if there are too many.

        A new subnet enters with ``score``; the score of a known one becomes
        ``momentum * old + (1 - momentum) * score``. Of equally bad subnets the
        oldest is dropped.

        Args:
            subnet: the subnet that was trained.
            score: higher is better (minus its cross-entropy).

        Returns:
            The subnet that was dropped, if any; it can be ``subnet`` itself.

        Raises:
            ValueError: if ``score`` is not finite; the pool is unchanged.
        """
        if not math.isfinite(score):
            raise ValueError(f'score={score} of {subnet} is not finite')
        if subnet in self._scores:
            old = self._scores[subnet]
            score = self.momentum * old + (1 - self.momentum) * score
        return self.place(subnet, score)

    def place(self, subnet: Subnet, score: float) -> Optional[Subnet]:
        """Gives a subnet a score, whatever it had, and drops the worst if there
        are too many; returns as :meth:`update`."""
        self._newcomers += subnet not in self._scores
        self._scores[subnet] = score
        if len(self._scores) <= self.capacity:
            return None
        scores = list(self._scores.values())
        position = scores.index(min(scores))
        worst = list(self._scores)[position]
        self._newcomers -= position >= len(self) - self._newcomers
        del self._scores[worst]
        return worst

    def rescore(self, score: Callable[[List[Subnet]], np.ndarray]) -> None:
        """Gives all subnets the scores that a function of them returns."""
        subnets = list(self._scores)
        self._scores = dict(zip(subnets, score(subnets).tolist()))

    def probabilities(self, temperature: float) -> np.ndarray:
        """``softmax(score / temperature)``, oldest subnet first."""
        scores = np.fromiter(self._scores.values(), float) / temperature
        weights: np.ndarray = np.exp(scores - scores.max())
        weights /= weights.sum()
        return weights

    def draw(self, rng: np.random.Generator, temperature: float) -> Subnet:
        """Draws a subnet; a better score means a higher priority."""
        position = rng.choice(len(self), p=self.probabilities(temperature))
        return list(self._scores)[position]

    def best(self, num: int = 1) -> List[Tuple[Subnet, float]]:
        """The ``num`` best subnets and their scores, best first."""
        return sorted(self._scores.items(), key=lambda e: -e[1])[:num]

    def evenly_ranked(self, num: int) -> List[Tuple[Subnet, float]]:
        """``num`` subnets at even distances in the ranking by score, best and
        worst included; all of them if there are fewer."""
        ranked = self.best(len(self))
        places = np.linspace(0, len(ranked) - 1, min(num, len(ranked)))
        return [ranked[round(place)] for place in places]

    def entropy(self, temperature: float) -> float:
        """Entropy of :meth:`probabilities` in nats; 0 for an empty pool.

        It falls from ``log(len(pool))``, where all subnets are equally likely,
        to 0, where one is always drawn.
        """
        if not self._scores:
            return 0.
        p = self.probabilities(temperature)
        return float(-(p * np.log(np.maximum(p, np.finfo(float).tiny))).sum())

    @property
    def newcomers(self) -> int:
        """How many of its subnets are new since the last :meth:`settle`."""
        return self._newcomers

    def settle(self) -> None:
        """Resets the count of newcomers."""
        self._newcomers = 0

    def load(self, scores: Dict[Subnet, float], newcomers: int = 0) -> None:
        """Replaces the subnets and their scores, oldest first."""
        self._scores = dict(scores)
        self._newcomers = newcomers
