"""Loops of MMEngine's Runner."""

from .loops import SubnetTestLoop, SubnetValLoop
from .train_loop import SupernetTrainLoop

__all__ = ['SubnetTestLoop', 'SubnetValLoop', 'SupernetTrainLoop']
