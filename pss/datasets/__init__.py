"""Splitting the training set."""

from ..torchvision_ops import import_torchvision

import_torchvision()  # mmpretrain's datasets import it

from .held_out import held_out_split  # noqa: E402

__all__ = ['held_out_split']
