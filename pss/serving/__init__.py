"""Serving a bank: which subnet answers how many of the waiting requests."""

from .estimates import ArrivalRate, Caution, Slowness
from .follower import FollowerScheduler
from .latency_grid import LatencyGrid
from .policy import Choice, SlackPolicy
from .scheduler import Batch, Scheduler

__all__ = [
    'ArrivalRate', 'Batch', 'Caution', 'Choice', 'FollowerScheduler',
    'LatencyGrid', 'Scheduler', 'SlackPolicy', 'Slowness'
]
