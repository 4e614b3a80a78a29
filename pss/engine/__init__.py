"""What plugs into MMEngine's Runner: hooks, optimizer wrapper, loops."""

from .hooks import PSSSamplerHook, ResumableLogHook
from .optimizers import SandwichOptimWrapper
from .runner import SubnetTestLoop, SubnetValLoop

__all__ = [
    'PSSSamplerHook', 'ResumableLogHook', 'SandwichOptimWrapper',
    'SubnetTestLoop', 'SubnetValLoop'
]
