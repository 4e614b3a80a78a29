"""Extensions of MMEngine's Runner: hooks, optimizer wrapper, loops."""

from .hooks import (
    AtomicCheckpointHook,
    CheckedLoadHook,
    PoolLogHook,
    PSSSamplerHook,
    ResumeHook,
    Terminated,
    TerminationHook,
)
from .optimizers import OptimWrapperConstructor, SandwichOptimWrapper
from .runner import SubnetTestLoop, SubnetValLoop, SupernetTrainLoop

__all__ = [
    'AtomicCheckpointHook', 'CheckedLoadHook', 'OptimWrapperConstructor',
    'PSSSamplerHook', 'PoolLogHook', 'ResumeHook', 'SandwichOptimWrapper',
    'SubnetTestLoop', 'SubnetValLoop', 'SupernetTrainLoop', 'Terminated',
    'TerminationHook'
]
