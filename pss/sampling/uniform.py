"""The baselines: one multiplier for the whole network.

US-Net: Yu & Huang, "Universally Slimmable Networks and Improved Training
Techniques", ICCV 2019. MutualNet: Yang et al., "MutualNet: Adaptive ConvNet via
Mutual Learning from Network Width and Resolution", ECCV 2020.
"""

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from ..checks import check_boolean
from ..errors import InputError
from ..structures import Budget, CostTable, SearchSpace
from .pool import SubnetPool
from .sampler import Candidates, Pass, Plan


class UniformSampler:
    """The largest subnet, the smallest and two of random multipliers.

    US-Net: all at the one resolution of the space. MutualNet: each except the
    largest at its own resolution, drawn uniformly. There are no pools, so
    training remembers nothing.

    Args:
        space: the space of the subnets.
        costs: what they cost, for each resource that has budgets.
        budgets: the levels that a subnet is named for.
        mutual: MutualNet if true, US-Net otherwise.

    Attributes:
        grid: all pairs of a multiplier and a resolution.

    Raises:
        InputError: if the space has several resolutions and it is US-Net.
    """

    pools: Tuple[SubnetPool, ...] = ()

    def __init__(self,
                 space: SearchSpace,
                 costs: Dict[str, CostTable],
                 budgets: Sequence[Budget],
                 mutual: bool = False) -> None:
        check_boolean('mutual', mutual)
        if not mutual and len(space.resolutions) > 1:
            raise InputError(
                f'search_space.resolutions={list(space.resolutions)}: expected '
                'a single one for US-Net, which trains at the full resolution '
                'only (pss.UniformSampler with mutual=False)')
        self.space = space
        self.budgets = list(budgets)
        self.grid = list(
            dict.fromkeys(
                space.at(multiplier, resolution) for multiplier in space.ladder
                for resolution in space.resolutions))
        self._costs = costs
        self._mutual = mutual

    def plan(self, seed: int, iteration: int, progress: float) -> Plan:
        """Plans an iteration; there is no pool to score it in.

        Args:
            seed: of the run.
            iteration: counted from 0 over the whole training.
            progress: ignored.
        """
        rng = np.random.default_rng([seed, iteration])
        low, high = self.space.multipliers
        first, second = rng.uniform(low, high, 2)
        passes = [Pass('largest', self.space.largest)]
        for name, multiplier in (('sampled_1', first), ('sampled_2', second),
                                 ('smallest', low)):
            resolution = int(rng.choice(self.space.resolutions))
            passes.append(Pass(name, self.space.at(multiplier, resolution)))
        return tuple(passes), None

    def candidates(self, num: int) -> Candidates:
        """Subnets that each budget's is chosen from, without scores.

        US-Net: the widest multiplier in the budget, so there is no choice.
        MutualNet: every pair of a multiplier and a resolution in it. The
        dearest comes first; budgets without any are left out.

        Args:
            num: ignored.
        """
        codes = self.space.encode(self.grid)
        found: Candidates = {}
        for budget in self.budgets:
            cost = self._costs[budget.resource](codes)
            inside = (cost >= budget.low) & (cost < budget.high)
            order = [i for i in np.argsort(-cost, kind='stable') if inside[i]]
            if order:
                kept = order if self._mutual else order[:1]
                found[budget] = [(self.grid[i], None) for i in kept]
        return found

    def scalars(self, progress: float) -> Dict[str, float]:
        """Nothing to log."""
        return {}

    def state_dict(self) -> List[Dict[str, Any]]:
        """No pools for a checkpoint."""
        return []

    def load_state_dict(self, state: List[Dict[str, Any]]) -> None:
        """Checks that a checkpoint has no pools.

        Raises:
            InputError: if it has pools: another method trained it.
        """
        if state:
            raise InputError(
                f'the checkpoint has {len(state)} pools: another sampler, such '
                'as pss.PrioritizedSampler, trained it; expected none')
