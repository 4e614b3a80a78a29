"""What decides a subnet's priority: the paper's score, and an additive one."""

import math
from functools import cached_property
from typing import Any, Dict, Optional, Protocol, Sequence

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
# From one temperature that draws are prepared for to the next.
T_STEP = 1.01
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
    batches like the recent ones when its level was fitted last
    (:class:`.AdditiveModel`).

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
        # features of some subnets of each level
        self._some: Dict[Budget, np.ndarray] = {}
        # what follows from a level's fit, until it is fitted again
        self._fits: Dict[Budget, _Fit] = {}

    def observe(self, pool: SubnetPool, sampled: Pass, losses: Losses) -> None:
        """Teaches the model, and scores all subnets of the pool again."""
        others = [loss for name, loss in losses.items() if name != sampled.name]
        if len(others) != COVARIATES:
            raise InputError(
                f'pss.AdditiveScore: passes {", ".join(losses)} of an '
                f'iteration; expected {1 + COVARIATES}')
        level = self._levels[pool.budget]
        features = self._features([sampled.subnet])
        if self.model.observe(level, features[0], losses[sampled.name], others):
            self._fits.pop(pool.budget, None)
            if len(pool):
                pool.rescore(lambda members: self.score(pool.budget, members))
        score, = self._fit(pool.budget).score(features)
        pool.place(sampled.subnet, float(score))

    def score(self, budget: Budget, subnets: Sequence[Subnet]) -> np.ndarray:
        """Scores of any subnets of a level: minus cross-entropies in nats."""
        return self._fit(budget).score(self._features(subnets))

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
        code = self._fit(pool.budget).draw(rng, t)
        subnet, = self._space.decode(code[None])
        return subnet

    def draws(self, pool: SubnetPool, t: float) -> Draw:
        """Returns what draws any number of subnets of the level by the scores
        of now."""
        return self._fit(pool.budget).draws(t)

    def spread(self, pool: SubnetPool) -> float:
        """The standard deviation of the scores in a level, in nats."""
        return self._fit(pool.budget).spread

    def _features(self, subnets: Sequence[Subnet]) -> np.ndarray:
        return self.model.features(self._space.encode(subnets))

    def _fit(self, budget: Budget) -> '_Fit':
        """What follows from a level's fit as it is now."""
        if budget not in self._fits:
            self._fits[budget] = _Fit(self.model, self._levels[budget],
                                      self._samplers[budget.resource], budget,
                                      self._some_of(budget))
        return self._fits[budget]

    def _some_of(self, budget: Budget) -> np.ndarray:
        """Features of subnets drawn from a level, the same each time."""
        if budget not in self._some:
            codes = self._samplers[budget.resource].draw(
                budget, np.random.default_rng(0), SPREAD_DRAWS)
            self._some[budget] = self.model.features(codes)
        return self._some[budget]

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
        self._fits.pop(pool.budget, None)


class _Fit:
    """What follows from the fit of a level, and lasts as long as it does.

    Args:
        model: has the fit.
        level: position of the level in it.
        sampler: draws from the level.
        budget: the level.
        some: features of subnets of the level, for the spread of their scores.

    Attributes:
        spread: standard deviation of the scores in the level, in nats.
    """

    def __init__(self, model: AdditiveModel, level: int,
                 sampler: ConditionalSampler, budget: Budget,
                 some: np.ndarray) -> None:
        self._model = model
        self._intercept, self._slopes = model.fit(level)
        self._sampler, self._budget = sampler, budget
        self.spread = float(self.score(some).std())
        self._step: Optional[int] = None  # of the temperature of _ready
        self._ready: Optional[Draw] = None

    def score(self, features: np.ndarray) -> np.ndarray:
        """Scores of subnets ``(N, features)``.

        That of a subnet is the same bit by bit, whichever others there are.
        """
        found: np.ndarray = (features * self._slopes).sum(1)
        return self._intercept + found

    def draws(self, t: float) -> Draw:
        """Returns what draws any number of subnets at a temperature."""
        tilt = self._model.tilt(self._slopes / self._nats(t))
        return self._sampler.tilted(self._budget, tilt)

    def draw(self, rng: np.random.Generator, t: float) -> np.ndarray:
        """Draws one subnet: its code.

        Temperatures change a little in every iteration, so that draws are from
        the next higher of some temperatures and kept in the right proportion.
        """
        step = math.ceil(math.log(t) / math.log(T_STEP))
        higher = T_STEP**step
        if self._ready is None or self._step != step:
            self._step, self._ready = step, self.draws(higher)
        rest = max(1 / self._nats(t) - 1 / self._nats(higher), 0.)
        while True:
            code: np.ndarray = self._ready(rng, 1)[0]
            score, = self.score(self._model.features(code[None]))
            if rng.random() < math.exp(rest * (score - self._most)):
                return code

    @cached_property
    def _most(self) -> float:
        """No subnet's score is higher."""
        return self._intercept + self._model.tilt(self._slopes).most

    def _nats(self, t: float) -> float:
        """A temperature in nats."""
        return max(t * self.spread, 1e-12)
