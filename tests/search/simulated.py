"""A supernet that is only simulated, so that the truth is known."""

import numpy as np

from pss.search import Level
from pss.structures import Budget, CostTable, SearchSpace, Width


class Simulated:
    """Subnets whose accuracy is additive but for a residual of their own, and
    images that are easy or hard for all of them.

    Attributes:
        space: 7 resolutions, 8 widths of 5 choices.
        cost: the sum of the widths, times the resolution.
        spent: images that were run.
    """

    def __init__(self, seed=0, images=5000, residual=0.3):
        rng = np.random.default_rng(seed)
        self.space = SearchSpace([Width.of(32, (0.5, 1.), 4)] * 8,
                                 list(range(16, 30, 2)))
        self._slopes = rng.gamma(1., 0.5, 9)
        self._residual, self._seed, self.images = residual, seed, images
        self._difficulty = rng.normal(2.6, 2., images)
        self._luck = rng.random(images)
        self.spent = 0
        sizes = np.array(self.space.resolutions, float)
        self.cost = CostTable(self.space, ((), *((i, ) for i in range(8))),
                              (0 * sizes, *[
                                  sizes[:, None] * np.array(w.choices) / 100
                                  for w in self.space.widths
                              ]))

    def strength(self, subnets):
        """What decides how many images a subnet gets right, ``(N, )``."""
        codes = self.space.encode(subnets)
        line = (codes / (np.array(self.space.shape) - 1)) @ self._slopes / 9
        own = np.array([
            np.random.default_rng([self._seed, *code]).normal()
            for code in codes
        ])
        return line + 0.1 * self._residual * own

    def hits(self, subnets, images, final):
        """As :data:`pss.search.Evaluate`."""
        self.spent += len(subnets) * images
        found = []
        for code, strength in zip(
                self.space.encode(subnets), self.strength(subnets)):
            rng = np.random.default_rng([self._seed, 1, *code])
            chance = 1 / (1 + np.exp(-(self._difficulty + strength)))
            # mostly the image decides, as with real networks
            own = rng.random(self.images) < 0.2
            luck = np.where(own, rng.random(self.images), self._luck)
            found.append(luck[:images] < chance[:images])
        return np.array(found).reshape(len(subnets), images)

    def levels(self, levels, step=1.):
        """Levels of the cost, which draw from the space."""
        from pss.sampling import ConditionalSampler
        budgets = [Budget('cost', level, step) for level in levels]
        draws = ConditionalSampler(self.cost, budgets)
        return [
            Level(
                budget, (),
                lambda rng, num, b=budget: self.space.decode(
                    draws.draw(b, rng, num))) for budget in budgets
        ]
