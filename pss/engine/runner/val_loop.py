"""Validation: the ends of the space, and how well scores predict accuracy."""

import math
from typing import Any, Dict, List, Tuple

import numpy as np

from ...checks import check_boolean, check_integer, check_text
from ...registry import LOOPS
from ...sampling import SubnetPool, rank_correlation
from ...structures import Subnet
from ..hooks.pool_log_hook import scalar_name
from ..randomness import shared_seed
from .subnet_loop import SubnetLoop

# A pool, and some of its subnets with their scores.
Ranked = Tuple[SubnetPool, List[Tuple[Subnet, float]]]


@LOOPS.register_module()
class SubnetValLoop(SubnetLoop):
    """Validates the largest and the smallest subnet, and subnets of pools.

    Args:
        pools: whether to validate the best subnet of every pool too.
        ranked_pools: in how many pools, drawn again in each validation, to
            measure how well scores agree with accuracy on these images.
        ranked_members: how many subnets of each of those to validate, evenly
            over its ranking by score.
        metric: the accuracy, as the evaluator names it without its prefix.
        args, kwargs: as for :class:`.SubnetLoop`.

    Attributes:
        agreement: after :meth:`run`, Spearman's rank correlation of score and
            metric in each of those pools, and over ``all`` of their members.
    """

    mode = 'val'

    def __init__(self,
                 *args: Any,
                 pools: bool = False,
                 ranked_pools: int = 0,
                 ranked_members: int = 3,
                 metric: str = 'top1',
                 **kwargs: Any) -> None:
        self.pools = check_boolean('val_cfg.pools', pools)
        self.ranked_pools = check_integer('val_cfg.ranked_pools', ranked_pools,
                                          0)
        self.ranked_members = check_integer('val_cfg.ranked_members',
                                            ranked_members, 2)
        self.metric = check_text('val_cfg.metric', metric)
        super().__init__(*args, **kwargs)
        self.agreement: Dict[str, float] = {}

    def run(self) -> Dict[str, float]:
        """Validates; returns ``largest/top1``, ``smallest/top1`` and so on,
        and ``pools/agreement`` (NaN where it is not defined)."""
        self.runner.call_hook('before_val')
        self.runner.call_hook('before_val_epoch')
        space = self.model.search_space
        names = {'largest': space.largest, 'smallest': space.smallest}
        if self.pools:
            names.update({
                str(budget): best[0][0]
                for budget, best in self.sampler_hook.sampler.candidates(
                    1).items()
            })
        ranked = self._ranked()
        members = [subnet for _, scored in ranked for subnet, _ in scored]
        statistics = self.calibrate(
            list(dict.fromkeys([*names.values(), *members])))
        found = self.evaluate(statistics, self.dataloader, 'held-out images')
        metrics = {
            f'{name}/{key.split("/")[-1]}': value
            for name, subnet in names.items()
            for key, value in found[subnet].items()
        }
        self.agreement = self._agreement(ranked, found)
        if self.ranked_pools:
            # without a value MMEngine's log would repeat the last one
            metrics['pools/agreement'] = self.agreement.get('all', math.nan)
        self.runner.call_hook('after_val_epoch', metrics=metrics)
        self.runner.call_hook('after_val')
        return metrics

    def _ranked(self) -> List[Ranked]:
        """Draws pools by seed and iteration; returns members and scores."""
        if not self.ranked_pools:
            return []
        pools = [p for p in self.sampler_hook.sampler.pools if len(p)]
        rng = np.random.default_rng(
            [shared_seed(self.runner), self.runner.iter])
        drawn = rng.permutation(len(pools))[:self.ranked_pools]
        return [(pools[i], pools[i].evenly_ranked(self.ranked_members))
                for i in sorted(drawn)]

    def _agreement(self, ranked: List[Ranked],
                   found: Dict[Subnet, Dict[str, float]]) -> Dict[str, float]:
        """Returns the rank correlations that are defined."""
        groups = {scalar_name(pool.budget): scored for pool, scored in ranked}
        groups['all'] = [entry for _, scored in ranked for entry in scored]
        agreement = {
            name:
            rank_correlation(
                [score for _, score in scored],
                [self.metric_of(found[subnet]) for subnet, _ in scored])
            for name, scored in groups.items()
        }
        return {k: v for k, v in agreement.items() if v is not None}
