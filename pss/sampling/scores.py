"""What decides a subnet's priority: the paper's score, and an additive one."""

import math
from typing import Any, Dict, Protocol, Sequence

import numpy as np

from ..checks import check_number
from ..errors import InputError
from ..structures import Budget, SearchSpace, Subnet
from .additive_model import AdditiveModel
from .conditional import ConditionalSampler, Draw
from .pool import SubnetPool
from .sampler import Pass

# Cross-entropies of an iteration's passes, by name, means over all processes.
Losses = Dict[str, float]
# Subnets drawn once from each level, for the spread of scores in it.
SPREAD_DRAWS = 500
# Losses of an iteration besides the drawn subnet's: the largest's and the
# smallest's.
COVARIATES = 2


class Score(Protocol):
    """Scores subnets of pools, and draws them by their scores.

    A registered class takes the arguments that a config may set; then
    :meth:`attach` is called, once for each training.

    Attributes:
        default_t: ``start`` and ``ratio`` of the temperature, if the config
            does not say.
        least_t: a lower temperature makes no sense.
    """
    default_t: Dict[str, float]
    least_t: float

    @property
    def of_smallest(self) -> float:
        """The score of the smallest subnet; minus infinity if it has none."""

    def attach(self, space: SearchSpace, pools: Sequence[SubnetPool],
               samplers: Dict[str, ConditionalSampler]) -> None:
        """Takes what the sampler has.

        Args:
            space: the space of the subnets.
            pools: one for each level.
            samplers: draw from the levels, for each resource.
        """

    def observe(self, pool: SubnetPool, sampled: Pass, losses: Losses) -> None:
        """Takes what an iteration tells, and updates the pool.

        Args:
            pool: the pool that the iteration was planned for.
            sampled: the pass whose subnet was drawn for it.
            losses: cross-entropies of all passes.
        """

    def is_ready(self, pool: SubnetPool) -> bool:
        """Whether subnets can be drawn by their scores."""

    def draw(self, pool: SubnetPool, rng: np.random.Generator,
             t: float) -> Subnet:
        """Draws a subnet of the level; a better score, a higher priority."""

    def state_of(self, pool: SubnetPool) -> Dict[str, Any]:
        """What a checkpoint keeps of a pool, besides its subnets and their
        scores: lists, dicts and numbers."""

    def check_state(self, pool: SubnetPool, state: Dict[str, Any]) -> Any:
        """Reads what :meth:`state_of` returned.

        Raises:
            InputError: if it does not fit.
        """

    def load(self, pool: SubnetPool, state: Any) -> None:
        """Restores what :meth:`check_state` read."""


class BatchScore:
    """The paper's: minus the cross-entropy on the batches that a subnet was
    trained on, as a running mean that its pool keeps (Sec. III-C).

    Only subnets in the pool have a score, so that draws are from these:
    ``softmax(score / t)``, with ``t`` in nats.
    """
    default_t = dict(start=1., ratio=0.01)
    least_t = 1e-100
    of_smallest = -math.inf

    def attach(self, space: SearchSpace, pools: Sequence[SubnetPool],
               samplers: Dict[str, ConditionalSampler]) -> None:
        """Needs nothing of a sampler."""

    def observe(self, pool: SubnetPool, sampled: Pass, losses: Losses) -> None:
        """Scores the subnet in its pool."""
        pool.update(sampled.subnet, -losses[sampled.name])

    def is_ready(self, pool: SubnetPool) -> bool:
        """Whether the pool is full."""
        return pool.is_full

    def draw(self, pool: SubnetPool, rng: np.random.Generator,
             t: float) -> Subnet:
        """Draws a subnet of the pool."""
        return pool.draw(rng, t)

    def state_of(self, pool: SubnetPool) -> Dict[str, Any]:
        """Nothing besides the pool."""
        return {}

    def check_state(self, pool: SubnetPool, state: Dict[str, Any]) -> None:
        """Nothing besides the pool."""

    def load(self, pool: SubnetPool, state: None) -> None:
        """Nothing besides the pool."""


class AdditiveScore:
    """Minus the cross-entropy that an additive model expects of a subnet, on
    batches like the recent ones (:class:`.AdditiveModel`).

    Every iteration teaches it about all subnets, and every subnet of a level
    has a score, so that draws are from the whole level: exactly the prior times
    ``exp(score / (t * spread))``, where the spread is the standard deviation of
    the scores in the level. The pool holds the best of those that were trained,
    by their scores now.

    A ``t`` of 1 makes the mean score of draws about one spread better than
    the level's, and one of 0.2 about five.

    Args:
        memory, ridge, pooling: as for :class:`.AdditiveModel`.
    """
    default_t = dict(start=1., ratio=0.2)
    least_t = 0.05  # draws are hardly better, and proposals hardly ever kept

    def __init__(self,
                 memory: float = 0.5,
                 ridge: float = 3.,
                 pooling: float = 30.) -> None:
        self._memory, self._ridge, self._pooling = memory, ridge, pooling
        check_number('score.memory', memory, above=0, most=1)
        check_number('score.ridge', ridge, above=0)
        check_number('score.pooling', pooling, above=0)

    def attach(self, space: SearchSpace, pools: Sequence[SubnetPool],
               samplers: Dict[str, ConditionalSampler]) -> None:
        """Builds the model."""
        self._space = space
        self._samplers = samplers
        self._levels = {pool.budget: i for i, pool in enumerate(pools)}
        self.model = AdditiveModel(
            space,
            len(pools),
            COVARIATES,
            memory=self._memory,
            ridge=self._ridge,
            pooling=self._pooling)
        # features of subnets in pools, and of some of each level
        self._known: Dict[Subnet, np.ndarray] = {}
        self._drawn: Dict[Budget, np.ndarray] = {}

    def observe(self, pool: SubnetPool, sampled: Pass, losses: Losses) -> None:
        """Teaches the model, and scores all subnets of the pool again."""
        others = [loss for name, loss in losses.items() if name != sampled.name]
        if len(others) != COVARIATES:
            raise InputError(
                f'pss.AdditiveScore: passes {", ".join(losses)} of an '
                f'iteration; expected {1 + COVARIATES}')
        self.model.observe(self._levels[pool.budget],
                           self._features([sampled.subnet])[0],
                           losses[sampled.name], others)
        dropped = pool.rescore(
            sampled.subnet,
            lambda members: self._score(pool.budget, self._features(members)))
        if dropped is not None:
            del self._known[dropped]

    def score(self, budget: Budget, subnets: Sequence[Subnet]) -> np.ndarray:
        """Scores of any subnets of a level: minus cross-entropies in nats."""
        features = self.model.features(self._space.encode(subnets))
        return self._score(budget, features)

    def _score(self, budget: Budget, features: np.ndarray) -> np.ndarray:
        intercept, slopes = self.model.fit(self._levels[budget])
        found: np.ndarray = intercept + features @ slopes
        return found

    @property
    def of_smallest(self) -> float:
        """Minus the smallest subnet's recent cross-entropy."""
        if not self.model.observations:
            return -math.inf
        return -float(self.model.recent[-1])

    def is_ready(self, pool: SubnetPool) -> bool:
        """Whether there is any observation of the level."""
        return len(pool) > 0

    def draw(self, pool: SubnetPool, rng: np.random.Generator,
             t: float) -> Subnet:
        """Draws a subnet of the whole level."""
        subnet, = self._space.decode(self.draws(pool, t)(rng, 1))
        return subnet

    def draws(self, pool: SubnetPool, t: float) -> Draw:
        """Returns what draws any number of subnets of the level by the scores
        of now."""
        budget = pool.budget
        _, slopes = self.model.fit(self._levels[budget])
        tilt = self.model.tilt(slopes / max(t * self.spread(pool), 1e-12))
        return self._samplers[budget.resource].tilted(budget, tilt)

    def _features(self, subnets: Sequence[Subnet]) -> np.ndarray:
        """Features of subnets; those of subnets in pools are kept."""
        new = [subnet for subnet in subnets if subnet not in self._known]
        if new:
            found = self.model.features(self._space.encode(new))
            self._known.update(zip(new, found))
        return np.stack([self._known[subnet] for subnet in subnets])

    def spread(self, pool: SubnetPool) -> float:
        """The standard deviation of the scores in a level, in nats."""
        _, slopes = self.model.fit(self._levels[pool.budget])
        return float((self._draws_of(pool.budget) @ slopes).std())

    def _draws_of(self, budget: Budget) -> np.ndarray:
        """Features of subnets drawn from a level, the same each time."""
        if budget not in self._drawn:
            codes = self._samplers[budget.resource].draw(
                budget, np.random.default_rng(0), SPREAD_DRAWS)
            self._drawn[budget] = self.model.features(codes)
        return self._drawn[budget]

    def state_of(self, pool: SubnetPool) -> Dict[str, Any]:
        """What the model knows of the level."""
        return dict(learnt=self.model.state_of(self._levels[pool.budget]))

    def check_state(self, pool: SubnetPool, state: Dict[str, Any]) -> Any:
        """Reads what :meth:`state_of` returned."""
        if 'learnt' not in state:
            raise InputError(
                f'pool {pool.budget}: the checkpoint has nothing that '
                'pss.AdditiveScore learnt; expected one that was trained with '
                'it')
        try:
            return self.model.check_state(state['learnt'])
        except ValueError as error:
            raise InputError(f'pool {pool.budget}: learnt: {error}') from None

    def load(self, pool: SubnetPool, state: Any) -> None:
        """Restores what the model knows of the level."""
        self.model.load(self._levels[pool.budget], state)
