"""Optimizer wrappers."""

from .sandwich_optim_wrapper import SandwichOptimWrapper

__all__ = ['SandwichOptimWrapper']
