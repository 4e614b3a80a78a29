"""Loops of MMEngine's Runner."""

from .loops import SubnetTestLoop, SubnetValLoop

__all__ = ['SubnetTestLoop', 'SubnetValLoop']
