"""What plugs into MMEngine's Runner: hooks, optimizer wrapper, loops."""

from .hooks import PSSSamplerHook, ResumeHook
from .optimizers import SandwichOptimWrapper
from .runner import SubnetTestLoop, SubnetValLoop

__all__ = [
    'PSSSamplerHook', 'ResumeHook', 'SandwichOptimWrapper',
    'SubnetTestLoop', 'SubnetValLoop'
]
