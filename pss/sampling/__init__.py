"""Which subnet is trained next: schedules, conditional draws, pools."""

from .conditional import ConditionalSampler
from .pool import SubnetPool
from .prioritized import Pass, PrioritizedSampler
from .schedules import exponential_decay
from .tilted_prior import TiltedPrior

__all__ = [
    'ConditionalSampler', 'Pass', 'PrioritizedSampler', 'SubnetPool',
    'TiltedPrior', 'exponential_decay'
]
