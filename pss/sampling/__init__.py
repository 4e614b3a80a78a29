"""Which subnet is trained next: schedules, conditional draws, pools."""

from .agreement import rank_correlation
from .conditional import ConditionalSampler
from .factor_graph import cost_range
from .pool import SubnetPool
from .prioritized import Candidates, Pass, PrioritizedSampler
from .schedules import exponential_decay
from .uniform import UniformSampler

__all__ = [
    'Candidates', 'ConditionalSampler', 'Pass', 'PrioritizedSampler',
    'SubnetPool', 'UniformSampler', 'cost_range', 'exponential_decay',
    'rank_correlation'
]
