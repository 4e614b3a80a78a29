"""Hooks for MMEngine's Runner."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .checked_load_hook import CheckedLoadHook
from .pool_log_hook import PoolLogHook
from .pss_sampler_hook import PSSSamplerHook
from .resume_hook import ResumeHook
from .sort_channels_hook import SortChannelsHook
from .termination_hook import Terminated, TerminationHook

__all__ = [
    'AtomicCheckpointHook', 'CheckedLoadHook', 'PSSSamplerHook', 'PoolLogHook',
    'ResumeHook', 'SortChannelsHook', 'Terminated', 'TerminationHook'
]
