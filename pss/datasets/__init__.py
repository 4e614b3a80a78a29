"""Splits the training set, and checks what is loaded."""

from .checked import CheckedDataset, checked_dataset
from .held_out import held_out_split

__all__ = ['CheckedDataset', 'checked_dataset', 'held_out_split']
