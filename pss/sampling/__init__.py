"""Which subnet is trained next: schedules, conditional draws, pools."""

from .agreement import rank_correlation
from .budgets import (
    parse_limits,
    place_budgets,
    place_limits,
    read_budgets,
    read_limits,
)
from .conditional import ConditionalSampler
from .factor_graph import cost_range
from .pool import SubnetPool
from .prioritized import PrioritizedSampler
from .sampler import Candidates, Pass, Plan, Sampler
from .schedules import exponential_decay
from .scores import AdditiveScore, BatchScore, Score
from .uniform import UniformSampler

__all__ = [
    'AdditiveScore', 'BatchScore', 'Candidates', 'ConditionalSampler', 'Pass',
    'Plan', 'PrioritizedSampler', 'Sampler', 'Score', 'SubnetPool',
    'UniformSampler', 'cost_range', 'exponential_decay', 'parse_limits',
    'place_budgets', 'place_limits', 'rank_correlation', 'read_budgets',
    'read_limits'
]
