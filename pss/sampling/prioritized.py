"""Prioritized Subnet Sampling: plans iterations, keeps pools (Sec. III-C)."""

import math
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from ..checks import check_integer, check_number, shown
from ..errors import InputError
from ..structures import Budget, CostTable, SearchSpace, Subnet
from .conditional import ConditionalSampler
from .pool import SubnetPool
from .sampler import Candidates, Pass, Plan
from .schedules import decay_of, exponential_decay
from .scores import BatchScore, Losses, Score


class PrioritizedSampler:
    """Prioritized Subnet Sampling: the pools, and the draws for them.

    ``p=dict(ratio=1.)`` makes it random sampling: the pools collect scores but
    never steer.

    Args:
        space: the space of the subnets.
        costs: what they cost, for each resource that has budgets.
        budgets: the levels that have a pool, of all resources.
        pool_size: most subnets in a pool.
        score_momentum: share of the old score when a subnet is scored again.
        p: probability to draw from the whole space rather than from a pool:
            ``start`` and ``ratio`` of its decay, ``start * ratio **
            progress``.
        t: temperature of the priorities, with the same decay; in units that the
            score says, and by default as it says: for the paper's from 1 nat to
            0.01.
        score: what decides a subnet's priority, :class:`.BatchScore` by
            default.
        need: share of the iterations that are for levels in need, see
            :meth:`needs`; the others are for any level. The paper's is 0.
        shrink_from: share of the training in which only the largest subnet is
            trained, before the others join (DepS, arXiv 2407.06167). The
            schedules of ``p`` and ``t`` begin then. The paper's is 0.
        best_of: how many subnets are drawn in an iteration; the one with the
            least loss on its batch is trained (AttentiveNAS, CVPR 2021). The
            paper's is 1.

    Attributes:
        budgets: the levels of the pools.
        pools: one for each of them.

    Raises:
        InputError: for a value out of its range, or a level that no subnet
            reaches.
    """

    def __init__(self,
                 space: SearchSpace,
                 costs: Dict[str, CostTable],
                 budgets: Sequence[Budget],
                 pool_size: int = 50,
                 score_momentum: float = 0.9,
                 p: Dict[str, float] = dict(start=1., ratio=0.01),
                 t: Optional[Dict[str, float]] = None,
                 score: Optional[Score] = None,
                 need: float = 0.,
                 shrink_from: float = 0.,
                 best_of: int = 1) -> None:
        check_integer('pool_size', pool_size, 1)
        check_number('score_momentum', score_momentum, least=0, below=1)
        self.score: Score = BatchScore() if score is None else score
        self._p = decay_of('p', p)
        self._t = decay_of('t', self.score.default_t if t is None else t)
        for name, value in (('start', self._p[0]), ('start * p.ratio',
                                                    self._p[0] * self._p[1])):
            check_number(f'p.{name}', value, above=0, most=1)
        # scores are divided by it
        check_number(
            't.start * t.ratio',
            self._t[0] * self._t[1],
            least=self.score.least_t)
        self._shrink_from = check_number(
            'shrink_from', shrink_from, least=0, below=1)
        self._need = check_number('need', need, least=0, most=1)
        self._best_of = check_integer('best_of', best_of, 1)
        self.space = space
        self.budgets = list(budgets)
        self.pools = [
            SubnetPool(budget, pool_size, score_momentum) for budget in budgets
        ]
        self._samplers = {
            name:
            ConditionalSampler(cost,
                               [b for b in self.budgets if b.resource == name])
            for name, cost in costs.items()
        }
        self.reset()

    def reset(self) -> None:
        """Empties the pools, and forgets what scores were learnt from."""
        for pool in self.pools:
            pool.load({})
        self.score.attach(self.space, self.pools, self._samplers)

    def p(self, progress: float) -> float:
        """Probability to draw from the whole space."""
        return exponential_decay(self._of_the_rest(progress), *self._p)

    def t(self, progress: float) -> float:
        """Temperature of the priorities in a pool."""
        return exponential_decay(self._of_the_rest(progress), *self._t)

    def _of_the_rest(self, progress: float) -> float:
        """The share that is done of what follows ``shrink_from``."""
        start = self._shrink_from
        return max(progress - start, 0.) / (1 - start)

    def plan(self, seed: int, iteration: int, progress: float) -> Plan:
        """Plans an iteration for one of the pools.

        A pool is chosen uniformly among all of them, and so a resource in
        proportion to its number of pools; or, in a share of the iterations, in
        proportion to its need. The subnet is drawn from the whole
        space, conditioned on the pool's level, with probability ``p`` or while
        the pool is not full; otherwise it is drawn by its score.

        Seed and iteration decide every draw, so that all processes of a run,
        and a resumed run, draw the same.

        Args:
            seed: of the run.
            iteration: counted from 0 over the whole training.
            progress: epoch / epochs.

        Returns:
            Three passes, of the largest, the drawn and the smallest subnet,
            and the pool that the drawn one's score goes to. With ``best_of``
            above 1, the second pass has as many candidates, without repeats.
            Before ``shrink_from``, one pass and no pool.
        """
        if progress < self._shrink_from:
            return (Pass('largest', self.space.largest), ), None
        rng = np.random.default_rng([seed, iteration])
        pool = self._choose_pool(rng)
        num = self._best_of
        if rng.random() < self.p(progress) or not self.score.is_ready(pool):
            drawn = self.fresh(pool.budget, rng, num)
        else:
            t = self.t(progress)
            drawn = [self.score.draw(pool, rng, t) for _ in range(num)]
        candidates = tuple(dict.fromkeys(drawn)) if num > 1 else ()
        passes = (Pass('largest', self.space.largest),
                  Pass('sampled', drawn[0],
                       candidates), Pass('smallest', self.space.smallest))
        return passes, pool

    def _choose_pool(self, rng: np.random.Generator) -> SubnetPool:
        if self._need and rng.random() < self._need:
            needs = self.needs()
            if needs.any():
                return self.pools[rng.choice(len(needs), p=needs / needs.sum())]
        return self.pools[rng.integers(len(self.pools))]

    def needs(self) -> np.ndarray:
        """How far the best score of each level lies below the best of cheaper
        levels of its resource, and of the smallest subnet: 0 if it does not, or
        if nothing is known of it; in the score's unit, ``(pools, )``."""
        needs = np.zeros(len(self.pools))
        reached: Dict[str, float] = {}
        order = np.argsort([pool.budget.level for pool in self.pools])
        for i in order:
            pool = self.pools[i]
            if not len(pool):
                continue
            name, best = pool.budget.resource, pool.best()[0][1]
            known = reached.get(name, self.score.of_smallest)
            needs[i] = max(known - best, 0.)
            reached[name] = max(known, best)
        return needs

    def observe(self, pool: SubnetPool, sampled: Pass, losses: Losses) -> None:
        """Scores the subnet that was drawn for a pool, see
        :meth:`.Score.observe`."""
        self.score.observe(pool, sampled, losses)

    def fresh(self,
              budget: Budget,
              rng: np.random.Generator,
              num: int = 1) -> List[Subnet]:
        """Draws ``num`` subnets of a level from the whole space."""
        codes = self._samplers[budget.resource].draw(budget, rng, num)
        return self.space.decode(codes)

    def candidates(self, num: int) -> Candidates:
        """Returns the ``num`` best subnets of each pool by score, to choose
        from; empty pools are left out."""
        return {
            pool.budget: [*pool.best(num)]
            for pool in self.pools if len(pool)
        }

    def scalars(self, progress: float) -> Dict[str, float]:
        """Values to log: ``p``, ``t`` and the fill of the pools."""
        return dict(p=self.p(progress), t=self.t(progress), pool_fill=self.fill)

    @property
    def fill(self) -> float:
        """Share of the capacity of all pools that is taken."""
        return (sum(map(len, self.pools)) / sum(pool.capacity
                                                for pool in self.pools))

    def state_dict(self) -> List[Dict[str, Any]]:
        """Returns the pools as lists, dicts and numbers, for a checkpoint."""
        return [
            dict(
                resource=pool.budget.resource,
                level=pool.budget.level,
                step=pool.budget.step,
                newcomers=pool.newcomers,
                **self.score.state_of(pool),
                subnets=[
                    dict(**subnet.as_dict(), score=score)
                    for subnet, score in pool.scores.items()
                ]) for pool in self.pools
        ]

    def load_state_dict(self, state: List[Dict[str, Any]]) -> None:
        """Restores the pools from a checkpoint.

        Raises:
            InputError: if they are for other levels, or hold a subnet that is
                not in the space; the pools are unchanged then.
        """
        try:
            loaded = [self._load_pool(entry) for entry in state]
        except InputError:
            raise
        except (KeyError, TypeError, AttributeError, IndexError,
                ValueError) as error:
            raise InputError(
                'the pools in the checkpoint are damaged or of '
                f'another sampler ({type(error).__name__}: {error})') from None
        found = [budget for budget, _, _ in loaded]
        if found != self.budgets:
            raise InputError(
                f'the checkpoint has pools for {_list(found)}; expected '
                f'{_list(self.budgets)}, as in the config')
        learnt = [
            self.score.check_state(pool, entry)
            for pool, entry in zip(self.pools, state)
        ]
        for pool, (_, scores, newcomers), rest in zip(self.pools, loaded,
                                                      learnt):
            pool.load(scores, newcomers)
            self.score.load(pool, rest)

    def _load_pool(
            self, entry: Dict[str,
                              Any]) -> Tuple[Budget, Dict[Subnet, float], int]:
        for key, kinds in (('resource', str), ('level', (int, float)),
                           ('step', (int, float))):
            if not isinstance(entry[key], kinds):
                raise InputError('the pools in the checkpoint are damaged: '
                                 f'{key}={shown(entry[key])} of a pool')
        budget = Budget(entry['resource'], entry['level'], entry['step'])
        scores = {}
        for row in entry['subnets']:
            subnet = Subnet.from_dict({
                k: v
                for k, v in row.items() if k != 'score'
            })
            score = row['score']
            if not isinstance(score, float) or not math.isfinite(score):
                raise InputError(f'pool {budget}: score={shown(score)} of '
                                 f'{subnet} is not a finite number')
            scores[self.space.validate(subnet)] = score
        newcomers = entry.get('newcomers', 0)
        if isinstance(newcomers, bool) or not isinstance(newcomers, int) or \
                not 0 <= newcomers <= len(scores):
            raise InputError(f'pool {budget}: newcomers={shown(newcomers)}: '
                             f'expected an integer from 0 to {len(scores)}')
        return budget, scores, newcomers


def _list(budgets: Iterable[Budget]) -> str:
    levels: Dict[str, List[str]] = {}
    for budget in budgets:
        _, level = str(budget).rsplit(' ', 1)
        levels.setdefault(budget.resource, []).append(level)
    return '; '.join(f'{name} {", ".join(values)}'
                     for name, values in levels.items()) or 'nothing'
