"""Optimizer wrappers."""

from .optim_wrapper_constructor import OptimWrapperConstructor
from .sandwich_optim_wrapper import SandwichOptimWrapper

__all__ = ['OptimWrapperConstructor', 'SandwichOptimWrapper']
